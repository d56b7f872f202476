"""How a step is computed: in which precision, by which kernels, by how many processes."""
