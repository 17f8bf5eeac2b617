import pytest
import torch

from train.errors import UserError
from train.runs.checkpoint import load_state, save_state


def test_an_optimizer_comes_back_as_it_was(tmp_path):
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = {"optimizer": optimizer.state_dict(), "log": [{"epoch": 1, "loss": 0.5}], "none": None}

    save_state(tmp_path / "state.safetensors", state)
    back = load_state(tmp_path / "state.safetensors")

    assert back["log"] == state["log"] and back["none"] is None
    moments = back["optimizer"]["state"]
    assert list(moments) == [0, 1]
    assert torch.equal(moments[0]["exp_avg"], state["optimizer"]["state"][0]["exp_avg"])
    optimizer.load_state_dict(back["optimizer"])


def test_tensors_that_share_memory_are_kept(tmp_path):
    tensor = torch.arange(4.0)

    save_state(tmp_path / "state.safetensors", {"a": tensor, "b": tensor[:2]})

    assert load_state(tmp_path / "state.safetensors")["b"].tolist() == [0.0, 1.0]


def test_what_is_no_checkpoint_is_one_clear_line(tmp_path):
    (tmp_path / "text.safetensors").write_text("hello")
    for name, words in [("text", "not a checkpoint"), ("missing", "does not exist")]:
        with pytest.raises(UserError, match=words):
            load_state(tmp_path / f"{name}.safetensors")


def test_a_failed_write_keeps_the_old_checkpoint(tmp_path):
    path = tmp_path / "state.safetensors"
    save_state(path, {"epoch": 1})

    with pytest.raises(TypeError):
        save_state(path, {"epoch": object()})

    assert load_state(path) == {"epoch": 1}
