"""From a file to a batch: readers, labels, tokens, features, augmentation, batching, splits."""
