"""The videos that the demo draws: real H.264 files of a figure that acts, idles, walks and runs up in drawn scenes."""
