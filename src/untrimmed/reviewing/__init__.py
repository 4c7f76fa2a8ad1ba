"""The server of `untrimmed review`: a person's marks, what is worth a look next, and work in the background."""
