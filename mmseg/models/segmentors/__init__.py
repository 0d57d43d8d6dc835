from .encoder_decoder import EncoderDecoder
from .relit_encoder_decoder import RelitEncoderDecoder, RelitOutput

__all__ = ['EncoderDecoder', 'RelitEncoderDecoder', 'RelitOutput']
