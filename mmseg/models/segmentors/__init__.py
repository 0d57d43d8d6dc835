from .encoder_decoder import EncoderDecoder
from .hrda_encoder_decoder import HRDAEncoderDecoder
from .relit_encoder_decoder import RelitEncoderDecoder, RelitOutput

__all__ = ['EncoderDecoder', 'HRDAEncoderDecoder', 'RelitEncoderDecoder', 'RelitOutput']
