"""What a folder of files says of itself: the dataset card and the description for Croissant."""
