"""Object stores for tasks: S3 and folders."""
