from .averaged import AveragedSegmentor
from .encoder_decoder import EncoderDecoder
from .hrda_encoder_decoder import HRDAEncoderDecoder
from .relit_encoder_decoder import RelitEncoderDecoder, RelitOutput

__all__ = ['AveragedSegmentor', 'EncoderDecoder', 'HRDAEncoderDecoder', 'RelitEncoderDecoder', 'RelitOutput']
