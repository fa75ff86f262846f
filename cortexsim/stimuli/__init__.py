"""What is shown: data sets, masks, protocols, and the movies made of them."""
