"""From video files to features: decoding by time stamp, optical flow, snippets, extractors."""
