"""Google's SentencePiece on the vocabulary that a GGUF file carries."""

import sentencepiece
from gguf import GGUFReader
from sentencepiece import sentencepiece_model_pb2 as spm


def sentencepiece_of(reader: GGUFReader) -> sentencepiece.SentencePieceProcessor:
    """The SentencePiece model whose vocabulary the GGUF file carries."""
    field = lambda name: reader.fields[f"tokenizer.ggml.{name}"].contents()
    kinds = {1: "NORMAL", 2: "UNKNOWN", 3: "CONTROL", 4: "USER_DEFINED", 5: "UNUSED", 6: "BYTE"}
    unknown = field("unknown_token_id")
    model = spm.ModelProto()
    for index, (text, score, kind) in enumerate(zip(field("tokens"), field("scores"), field("token_type"))):
        piece = model.pieces.add()
        # The file stores user-defined pieces with raw spaces, and the unknown token as a control one.
        piece.piece = text.replace(" ", "\u2581") if kind == 4 else text
        piece.score = score
        piece.type = spm.ModelProto.SentencePiece.Type.Value("UNKNOWN" if index == unknown else kinds[kind])
    trainer = model.trainer_spec
    trainer.model_type = spm.TrainerSpec.ModelType.BPE
    trainer.vocab_size = len(model.pieces)
    trainer.byte_fallback = True
    trainer.unk_id, trainer.unk_piece = unknown, "<unk>"
    trainer.bos_id, trainer.eos_id, trainer.pad_id = field("bos_token_id"), field("eos_token_id"), field("padding_token_id")
    trainer.bos_piece, trainer.eos_piece, trainer.pad_piece = "<bos>", "<eos>", "<pad>"
    normalizer = model.normalizer_spec
    normalizer.name = "identity"
    normalizer.add_dummy_prefix = False
    normalizer.remove_extra_whitespaces = False
    normalizer.escape_whitespaces = True
    return sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())


def encoder(path):
    """Text → token ids with `<bos>` in front, as `assayd` encodes it."""
    processor = sentencepiece_of(GGUFReader(path))
    return lambda text: [processor.bos_id(), *processor.encode(text)]
