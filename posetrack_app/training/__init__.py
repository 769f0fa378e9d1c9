"""Training: labelled photos, their augmentation on the device, the loop, and labels made by a teacher."""
