"""Tests of encoders that start from vision transformers.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from fftp_tag.errors import InputError
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding
from speechbrain_fftp.pretrained import start_from
from speechbrain_fftp.pretrained.convert import convert_checkpoint
from speechbrain_fftp.pretrained.families import load_published

SIZES = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 512,
    "image_size": 64,
}


def randomise(model):
    """Weights that all matter, in evaluation mode."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def save_transformers(folder, name, suffix="safetensors"):
    """A model of transformers, and the path of its folder."""
    transformers = pytest.importorskip("transformers")
    cls = getattr(transformers, name)
    model = randomise(cls(cls.config_class(**SIZES)))
    model.save_pretrained(folder)
    if suffix == "bin":
        from safetensors.torch import load_file

        path = folder / "model.safetensors"
        torch.save(load_file(path), folder / "pytorch_model.bin")
        path.unlink()
    return model.base_model, folder


def save_timm(folder, name, suffix="pth"):
    """A model of timm, and the path of its file or folder."""
    timm = pytest.importorskip("timm")
    model = timm.create_model(
        name, img_size=64, depth=2, embed_dim=128, num_heads=2
    )
    randomise(model)
    if suffix == "pth":
        torch.save({"model": model.state_dict()}, folder / "deit.pth")
        return model, folder / "deit.pth"
    from safetensors.torch import save_file

    save_file(model.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text('{"architecture": "vit"}')
    return model, folder


SAVE = {
    "ViT of transformers": (save_transformers, "ViTModel"),
    "its .bin": (save_transformers, "ViTModel", "bin"),
    "ViT with a classifier": (save_transformers, "ViTForImageClassification"),
    "DeiT of transformers": (save_transformers, "DeiTModel"),
    "DeiT with two classifiers": (
        save_transformers,
        "DeiTForImageClassificationWithTeacher",
    ),
    "ViT of timm": (save_timm, "vit_tiny_patch16_224", "safetensors"),
    "DeiT of timm": (save_timm, "deit_tiny_distilled_patch16_224"),
    "DeiT without distillation": (save_timm, "deit_tiny_patch16_224"),
}


@pytest.fixture(params=SAVE)
def image_model(request, tmp_path):
    """A model, and the path of its checkpoint."""
    save, *arguments = SAVE[request.param]
    return save(tmp_path, *arguments)


@torch.no_grad()
def states(model, images):
    """The tokens before the blocks of a model, and those after the last norm."""
    if hasattr(model, "forward_features"):  # timm
        before = []
        model.blocks.register_forward_pre_hook(
            lambda module, inputs: before.append(inputs[0])
        )
        return before, model.forward_features(images)
    found = model(images, output_hidden_states=True)
    return found.hidden_states[:1], found.last_hidden_state


@torch.no_grad()
def test_hidden_states_are_those_of_the_model(image_model):
    """Of the same tokens; of DeiT, with its two, also of the same image."""
    model, path = image_model
    encoder, _ = load_published(path, "ViT or DeiT")
    images = torch.randn(2, 1, 64, 64)
    (tokens,), expected = states(model, images.expand(-1, 3, -1, -1))
    x = tokens
    for block in encoder.blocks:
        x = block(x)
    torch.testing.assert_close(encoder.norm(x), expected, atol=1e-4, rtol=1e-4)
    # The first row of pixels is that of the lowest frequency
    feats = images[:, 0].transpose(1, 2)
    n_tokens = expected.shape[1] - 16
    patches = encoder.embedding(feats) + encoder.position(4)
    torch.testing.assert_close(patches, tokens[:, n_tokens:])
    classes = tokens[:, :n_tokens].expand(-1, 2, -1)
    torch.testing.assert_close(encoder.cls_tokens, classes[0])
    if n_tokens == 2:
        found = encoder(feats)[:, 0]
        expected = expected[:, :2].mean(1)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("stride", [10, 16, "FFTP"])
def test_an_encoder_of_spectrograms_starts_from_it(stride, tmp_path):
    """Its positions are those of the image, from corner to corner."""
    _, path = save_transformers(tmp_path, "DeiTModel")
    images, _ = load_published(path, "ViT or DeiT")
    embedding = FFTPEmbedding(128, 128, 25, 5)
    if stride != "FFTP":
        embedding = SquarePatchEmbedding(128, 128, 16, stride)
    encoder = AST(128, 128, 2, 4, embedding, max_frames=300)
    start_from(encoder, path, sample_rate=8000)
    for name, tensor in encoder.blocks.state_dict().items():
        assert torch.equal(tensor, images.blocks.state_dict()[name])
    table, image = encoder.position.table, images.position.table
    if stride == "FFTP":  # tokens are means of columns of square ones
        image = image.mean(0, keepdim=True)
        clip = torch.randn(2, 25, 128)
        rows = clip[:, 4:20].unflatten(2, (8, 16)).transpose(1, 2).flatten(2)
        columns = images.embedding.proj(rows).mean(1, keepdim=True)
        torch.testing.assert_close(encoder.embedding(clip), columns)
    for corner in ((0, 0), (-1, -1)):
        torch.testing.assert_close(table[corner], image[corner])


def test_it_cannot_tag(tmp_path):
    _, path = save_transformers(tmp_path, "ViTModel")
    with pytest.raises(InputError, match="images.*--pretrained"):
        convert_checkpoint(path, tmp_path / "model.onnx")
