"""Models as servers of the Open Inference Protocol (KServe v2) offer them."""
