"""The prepared format, which every data set becomes and every recipe trains on, and what is made
of it: batches, augmentation, what frozen networks say of each face."""
