"""Sound to latents and back: EnCodec, its losses and its quantizer."""
