"""Common wrong answers to lesson 03, each with the sentence that the grader reports when it recognizes the mistake.

Reading on spoils the exercises.
"""

import copy
from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from ....noise import add_noise, mix
from ....training import denoising_loss, train_step, update_average
from ...grader.expect import mistake

Random = torch.Generator | None

# ---- 3.1 denoising_loss ---------------------------------------------------------------------------------------------


@mistake("denoising_loss", "The target is the noise. Here the network should predict the clean image.")
def target_is_noise(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    noise = clean + (noisy - clean) / level
    return F.mse_loss(model(noisy, level), noise)


@mistake(
    "denoising_loss",
    "The prediction is compared with the noisy image. The network could win by repeating its input.",
)
def target_is_noisy(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, level), noisy)


@mistake("denoising_loss", "The target is the direction from image to noise, not the image.")
def target_is_the_direction(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, level), (noisy - clean) / level)


@mistake("denoising_loss", "The target is what was added to the image, not the image itself.")
def target_is_what_was_added(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, level), noisy - clean)


@mistake(
    "denoising_loss",
    "The prediction is compared with the noise level, which silently broadcasts to an image's shape.",
)
def target_is_the_level(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return (model(noisy, level) - level).square().mean()


@mistake(
    "denoising_loss",
    "The loss is a sum over all pixels, so it grows with the batch and with the size of the images.",
)
def sum_for_mean(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, level), clean, reduction="sum")


@mistake(
    "denoising_loss",
    "The squares of each image are summed, and only the images are averaged. Average the pixels too.",
)
def sum_over_pixels(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return (model(noisy, level) - clean).square().flatten(1).sum(1).mean()


@mistake(
    "denoising_loss",
    "The loss isn't divided by the number of images: each image is averaged, but the images are summed.",
)
def sum_over_images(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return (model(noisy, level) - clean).square().mean(dim=(1, 2, 3)).sum()


@mistake(
    "denoising_loss",
    "The squared errors are returned one by one, as many as there are numbers in the images. They aren't averaged.",
)
def not_reduced(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return (model(noisy, level) - clean) ** 2


@mistake("denoising_loss", "There is one loss per image. backward() needs a single number for the whole batch.")
def one_for_each_image(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return (model(noisy, level) - clean).square().mean(dim=(1, 2, 3))


@mistake("denoising_loss", "The differences lose their sign but aren't squared. The result is a mean absolute error.")
def absolute(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return F.l1_loss(model(noisy, level), clean)


@mistake("denoising_loss", "The differences are averaged without being squared, so too bright and too dark cancel out.")
def not_squared(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return (model(noisy, level) - clean).mean()


@mistake("denoising_loss", "The differences are averaged first and squared afterward, so they cancel out.")
def squared_too_late(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return (model(noisy, level) - clean).mean() ** 2


@mistake("denoising_loss", "The loss is the square root of the mean squared error.")
def root(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, level), clean).sqrt()


@mistake("denoising_loss", "The mean squared error is halved.")
def halved(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, level), clean) / 2


@mistake(
    "denoising_loss",
    "Every prediction is compared with every image of the batch: the shapes don't match, so they broadcast.",
)
def broadcasts(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return (model(noisy, level).flatten(1).unsqueeze(1) - clean.flatten(1)).square().mean()


@mistake("denoising_loss", "The loss uses only the first image of the batch.")
def first_image_only(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, level)[0], clean[0])


@mistake(
    "denoising_loss",
    "The prediction is clamped to [0, 1] first, so nothing pushes back a prediction outside that range.",
)
def clamped(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, level).clamp(0, 1), clean)


@mistake(
    "denoising_loss",
    "Images are weighted by how clean they are. Each image should count the same, whatever its level.",
)
def weighted_by_cleanness(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return ((1 - level) * (model(noisy, level) - clean).square()).mean()


@mistake(
    "denoising_loss",
    "Images are weighted by their noise level. Each image should count the same, whatever its level.",
)
def weighted_by_level(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return (level * (model(noisy, level) - clean).square()).mean()


@mistake("denoising_loss", "The loss is a plain number (`.item()`), which no longer knows how it was computed.")
def plain_number(model: nn.Module, clean: Tensor, *, generator: Random = None) -> float:
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, level), clean).item()


@mistake(
    "denoising_loss",
    "The loss is cut off from the network (by `detach` or a new tensor), so nothing can be learned.",
)
def detached(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, level).detach(), clean)


@mistake(
    "denoising_loss",
    "The loss is cut off from the network and then set to require gradients. No gradient reaches the network.",
)
def detached_and_disguised(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, level), clean).detach().requires_grad_()


@mistake("denoising_loss", "The network is called under `torch.no_grad()`, so there are no gradients to learn from.")
def no_gradients(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    with torch.no_grad():
        noisy, level = add_noise(clean, generator=generator)
        return F.mse_loss(model(noisy, level), clean)


@mistake("denoising_loss", "This function already calls backward(). That belongs to the next exercise.")
def backward_inside(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    loss = F.mse_loss(model(noisy, level), clean)
    loss.backward()
    return loss


@mistake("denoising_loss", "The network gets the clean images, so there is nothing to clean.")
def shown_the_clean(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    _, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(clean, level), clean)


@mistake("denoising_loss", "The network doesn't get the noise level.")
def level_not_told(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, _ = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy), clean)


@mistake("denoising_loss", "The network always gets a noise level of 0.")
def told_zero(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, torch.zeros_like(level)), clean)


@mistake(
    "denoising_loss",
    "The noise level isn't that of the noisy image: it is drawn a second time, or belongs to another image.",
)
def noised_twice(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy = add_noise(clean, generator=generator)[0]
    level = add_noise(clean, generator=generator)[1]
    return F.mse_loss(model(noisy, level), clean)


@mistake("denoising_loss", "The second argument says how much of the image is left. It should be the noise level.")
def told_what_is_left(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, 1 - level), clean)


@mistake("denoising_loss", "Each image gets another image's noise level: the order of the levels is reversed.")
def levels_reversed(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, level.flip(0)), clean)


@mistake("denoising_loss", "The network gets only a part of the batch.")
def half_the_batch(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    clean = clean[: len(clean) // 2]
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, level), clean)


@mistake("denoising_loss", "The gradients are cleared along the way. That belongs to the next exercise.")
def gradients_cleared(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    model.zero_grad()
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, level), clean)


@mistake(
    "denoising_loss",
    "Noise is mixed into images that are already noisy, so the noise level that the network gets is too low.",
)
def noise_added_twice(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, _ = add_noise(clean, generator=generator)
    noisy, level = add_noise(noisy, generator=generator)
    return F.mse_loss(model(noisy, level), clean)


@mistake(
    "denoising_loss",
    "The network's first argument is the noise levels. The noisy images come first, then the levels. "
    "(`add_noise` returns them in this order too.)",
)
def arguments_swapped(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(level, noisy), clean)


@mistake("denoising_loss", "The noise level has shape (N,), which lines up with columns, not with images.")
def bare_level(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, level.flatten()), clean)


@mistake("denoising_loss", "The whole batch gets its mean noise level. Each image has its own level.")
def mean_level(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, level.mean().expand_as(level)), clean)


@mistake("denoising_loss", "The two results of add_noise are passed to the network as one argument.")
def both_as_one(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    return F.mse_loss(model(add_noise(clean, generator=generator)), clean)


@mistake("denoising_loss", "The images go through the network one by one. It takes the whole batch at once.")
def one_by_one(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    return torch.stack(
        [F.mse_loss(model(noisy[i : i + 1], level[i : i + 1]), clean[i : i + 1]) for i in range(len(clean))]
    ).mean()


@mistake("denoising_loss", "The network is put into evaluation mode along the way.")
def evaluation_mode(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    model.eval()
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, level), clean)


@mistake("denoising_loss", "The network is put into training mode along the way. That belongs to the next exercise.")
def training_mode(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    model.train()
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, level), clean)


@mistake("denoising_loss", "The generator isn't passed on to add_noise, so the same seed gives different noise.")
def no_generator(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean)
    return F.mse_loss(model(noisy, level), clean)


@mistake("denoising_loss", "A generator with a fixed seed is created inside, so every batch gets the same noise.")
def fixed_noise(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=torch.Generator().manual_seed(0))
    return F.mse_loss(model(noisy, level), clean)


@mistake("denoising_loss", "The generator is reseeded in each call, so every batch gets the same noise.")
def reseeded(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    if generator is not None:
        generator.manual_seed(generator.initial_seed())
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, level), clean)


@mistake("denoising_loss", "Without a generator, a fixed seed is used inside, so every batch gets the same noise.")
def everyone_reseeded(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    if generator is None:
        torch.manual_seed(0)
    noisy, level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, level), clean)


@mistake("denoising_loss", "The noise is mixed into the caller's own images, so the target is noisy as well.")
def in_place(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    clean.copy_(noisy)
    return F.mse_loss(model(clean, level), clean)


@mistake("denoising_loss", "The noise is Gaussian and added on top. `add_noise` blends in uniform noise.")
def gaussian(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    level = torch.rand(len(clean), 1, 1, 1, generator=generator, dtype=clean.dtype)
    noisy = clean + level * torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
    return F.mse_loss(model(noisy, level), clean)


@mistake("denoising_loss", "One noise level is drawn for the whole batch. Each image should have its own.")
def one_level(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noise = torch.rand(clean.shape, generator=generator, dtype=clean.dtype)
    level = torch.rand(1, 1, 1, 1, generator=generator, dtype=clean.dtype).expand(len(clean), 1, 1, 1)
    return F.mse_loss(model(mix(clean, noise, level), level), clean)


# ---- 3.2 train_step -------------------------------------------------------------------------------------------------


@mistake("train_step", "Nothing clears the gradients that earlier batches left, so they pile up from step to step.")
def gradients_pile_up(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    loss = denoising_loss(model, clean, generator=generator)
    loss.backward()
    optimizer.step()
    return loss.item()


@mistake("train_step", "The gradients are cleared between backward() and step(), so step() has nothing to use.")
def cleared_too_late(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    loss = denoising_loss(model, clean, generator=generator)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


@mistake("train_step", "The gradients are cleared only after the step, so gradients from before the call still count.")
def cleared_afterwards(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    loss = denoising_loss(model, clean, generator=generator)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


@mistake("train_step", "backward() is missing, so the gradients of this batch are never computed.")
def no_backward(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    optimizer.zero_grad()
    loss = denoising_loss(model, clean, generator=generator)
    optimizer.step()
    return loss.item()


@mistake(
    "train_step",
    "Neither zero_grad() nor backward() is called, so the step uses what an earlier batch left behind.",
)
def step_alone(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    loss = denoising_loss(model, clean, generator=generator)
    optimizer.step()
    return loss.item()


@mistake("train_step", "step() comes before backward(), so it has no gradients of this batch to use.")
def step_too_early(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    optimizer.zero_grad()
    loss = denoising_loss(model, clean, generator=generator)
    optimizer.step()
    loss.backward()
    return loss.item()


@mistake("train_step", "The gradients are computed, but no step is taken: optimizer.step() is missing.")
def no_step(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    optimizer.zero_grad()
    loss = denoising_loss(model, clean, generator=generator)
    loss.backward()
    return loss.item()


@mistake("train_step", "The loss is measured, and that is all: neither backward() nor step() is called.")
def only_measured(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    optimizer.zero_grad()
    return denoising_loss(model, clean, generator=generator).item()


@mistake("train_step", "step() is called twice for one batch.")
def two_steps(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    optimizer.zero_grad()
    loss = denoising_loss(model, clean, generator=generator)
    loss.backward()
    optimizer.step()
    optimizer.step()
    return loss.item()


@mistake("train_step", "backward() is called twice, so the gradients count double.")
def backward_twice(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    optimizer.zero_grad()
    loss = denoising_loss(model, clean, generator=generator)
    loss.backward(retain_graph=True)
    loss.backward()
    optimizer.step()
    return loss.item()


@mistake("train_step", "The step goes uphill: the sign of the loss is flipped, so the loss grows.")
def uphill(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    optimizer.zero_grad()
    loss = denoising_loss(model, clean, generator=generator)
    (-loss).backward()
    optimizer.step()
    return loss.item()


@mistake(
    "train_step",
    "The weights are moved by hand, or by an optimizer created inside. The optimizer passed in takes no step.",
)
def moved_by_hand(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    model.zero_grad()
    loss = denoising_loss(model, clean, generator=generator)
    loss.backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight -= 1e-3 * weight.grad
    return loss.item()


@mistake(
    "train_step",
    "A new optimizer with a memory is created inside. It forgets in each call, and the one passed in takes no step.",
)
def own_optimizer(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    model.zero_grad()
    loss = denoising_loss(model, clean, generator=generator)
    loss.backward()
    with torch.no_grad():
        for weight in model.parameters():
            weight -= 1e-3 * weight.grad.sign()  # the same as Adam's first step
    return loss.item()


@mistake("train_step", "The learning rate is changed inside. It belongs to the caller.")
def learning_rate_changed(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    for group in optimizer.param_groups:
        group["lr"] *= 0.99
    return train_step(model, optimizer, clean, generator=generator)


@mistake(
    "train_step",
    "The gradients are clipped to a length of 1 before the step. Here they should count as they are.",
)
def gradients_clipped(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    optimizer.zero_grad()
    loss = denoising_loss(model, clean, generator=generator)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


@mistake("train_step", "The loss is multiplied by the number of images before backward(). It is already a mean.")
def times_the_batch(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    optimizer.zero_grad()
    loss = denoising_loss(model, clean, generator=generator) * len(clean)
    loss.backward()
    optimizer.step()
    return loss.item() / len(clean)


@mistake("train_step", "The function returns the tensor, which keeps the whole computation in memory.")
def graph_kept(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> Tensor:
    model.train()
    optimizer.zero_grad()
    loss = denoising_loss(model, clean, generator=generator)
    loss.backward()
    optimizer.step()
    return loss


@mistake(
    "train_step",
    "The function returns a tensor (detached from its computation, which is good). Return a plain float.",
)
def tensor_returned(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> Tensor:
    return torch.tensor(train_step(model, optimizer, clean, generator=generator))


@mistake("train_step", "Nothing is returned. The caller needs the loss.")
def nothing_returned(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> None:
    train_step(model, optimizer, clean, generator=generator)


@mistake("train_step", "The loss is summed over the images before it is returned.")
def loss_times_images(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    return train_step(model, optimizer, clean, generator=generator) * len(clean)


@mistake("train_step", "The loss is measured again after the step, which costs half a step more.")
def loss_after_the_step(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    train_step(model, optimizer, clean, generator=generator)
    with torch.no_grad():
        return denoising_loss(model, clean, generator=generator).item()


@mistake(
    "train_step",
    "The loss is computed twice, once for backward() and once for the result, with different noise each time.",
)
def loss_computed_twice(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    optimizer.zero_grad()
    denoising_loss(model, clean, generator=generator).backward()
    loss = denoising_loss(model, clean, generator=generator).item()
    optimizer.step()
    return loss


@mistake("train_step", "Each image gets its own step. One step should use the whole batch.")
def step_for_each_image(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    losses = [train_step(model, optimizer, clean[i : i + 1], generator=generator) for i in range(len(clean))]
    return sum(losses) / len(losses)


@mistake("train_step", "The network isn't put into training mode. It learns in whatever mode the caller left it.")
def mode_left_alone(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    optimizer.zero_grad()
    loss = denoising_loss(model, clean, generator=generator)
    loss.backward()
    optimizer.step()
    return loss.item()


@mistake("train_step", "The network is put into training mode only after it was called, too late for this step.")
def training_mode_too_late(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    optimizer.zero_grad()
    loss = denoising_loss(model, clean, generator=generator)
    model.train()
    loss.backward()
    optimizer.step()
    return loss.item()


@mistake("train_step", "After the step, the network is put back into evaluation mode. It should stay in training mode.")
def left_in_evaluation_mode(
    model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None
) -> float:
    loss = train_step(model, optimizer, clean, generator=generator)
    model.eval()
    return loss


@mistake(
    "train_step",
    "retain_graph=True keeps the whole computation in memory for a second backward() that never comes.",
)
def graph_retained(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    optimizer.zero_grad()
    loss = denoising_loss(model, clean, generator=generator)
    loss.backward(retain_graph=True)
    optimizer.step()
    return loss.item()


@mistake(
    "train_step",
    "backward() finds no way back to the weights: it is called on something that wasn't computed from them, "
    "or that was computed under torch.no_grad().",
)
def under_no_grad(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    optimizer.zero_grad()
    with torch.no_grad():
        loss = denoising_loss(model, clean, generator=generator)
    loss.backward()
    optimizer.step()
    return loss.item()


@mistake("train_step", "backward() is called on a float. Turn the loss into a float only at the very end.")
def item_too_early(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    optimizer.zero_grad()
    loss = denoising_loss(model, clean, generator=generator).item()
    loss.backward()
    optimizer.step()
    return loss


@mistake("train_step", "torch.set_grad_enabled(False) is called and never undone. After that, nothing can learn.")
def gradients_switched_off(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    torch.set_grad_enabled(True)
    loss = train_step(model, optimizer, clean, generator=generator)
    torch.set_grad_enabled(False)
    return loss


@mistake("train_step", "The network learns from the clean images without any noise.")
def without_noise(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    optimizer.zero_grad()
    loss = F.mse_loss(model(clean, torch.zeros(len(clean), 1, 1, 1, dtype=clean.dtype)), clean)
    loss.backward()
    optimizer.step()
    return loss.item()


@mistake("train_step", "The generator isn't passed on to denoising_loss, so the same seed gives different noise.")
def generator_forgotten(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    return train_step(model, optimizer, clean)


@mistake("train_step", "A generator with a fixed seed is created inside, so every step gets the same noise.")
def same_noise_each_step(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    return train_step(model, optimizer, clean, generator=torch.Generator().manual_seed(0))


@mistake("train_step", "The generator is reseeded in each call, so every step gets the same noise.")
def generator_reseeded(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    if generator is not None:
        generator.manual_seed(generator.initial_seed())
    return train_step(model, optimizer, clean, generator=generator)


@mistake(
    "train_step",
    "The optimizer's memory is cleared after each step. Adam and its relatives need it for the next step.",
)
def memory_emptied(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    loss = train_step(model, optimizer, clean, generator=generator)
    optimizer.state.clear()
    return loss


# ---- 3.3 update_average ---------------------------------------------------------------------------------------------


@mistake("update_average", "decay and 1 - decay are swapped, so the EMA chases the model and forgets its past at once.")
def decay_swapped(average: nn.Module, model: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for ours, theirs in zip(average.parameters(), model.parameters()):
            ours.lerp_(theirs, decay)
    copy_buffers(average, model)


@mistake("update_average", "EMA and model are swapped: the model's weights are pulled toward the EMA.")
def roles_swapped(average: nn.Module, model: nn.Module, decay: float) -> None:
    update_average(model, average, decay)


@mistake("update_average", "The model's weights are changed. The EMA should move, and the model should stay as it is.")
def both_changed(average: nn.Module, model: nn.Module, decay: float) -> None:
    update_average(average, model, decay)
    with torch.no_grad():
        for ours, theirs in zip(average.parameters(), model.parameters()):
            theirs.copy_(ours)


@mistake(
    "update_average",
    "Nothing is written into the EMA's weights. (`x = ...` gives a name to a new tensor, and changes none.)",
)
def name_rebound(average: nn.Module, model: nn.Module, decay: float) -> None:
    for ours, theirs in zip(average.parameters(), model.parameters()):
        ours = decay * ours + (1 - decay) * theirs
    copy_buffers(average, model)


@mistake("update_average", "The model's weights are copied, so nothing of the EMA is kept.")
def copied(average: nn.Module, model: nn.Module, decay: float) -> None:
    average.load_state_dict(model.state_dict())


@mistake(
    "update_average",
    "The EMA takes over the model's own tensors. From then on, the EMA changes along with the model.",
)
def shared(average: nn.Module, model: nn.Module, decay: float) -> None:
    for ours, theirs in zip(average.parameters(), model.parameters()):
        ours.data = theirs.data
    copy_buffers(average, model)


@mistake("update_average", "The blend is stored in the model's tensor, which the EMA then takes over.")
def mixed_into_the_model(average: nn.Module, model: nn.Module, decay: float) -> None:
    for ours, theirs in zip(average.parameters(), model.parameters()):
        ours.data = theirs.data.mul_(1 - decay).add_(ours.data, alpha=decay)
    copy_buffers(average, model)


@mistake("update_average", "With a decay of 0, the EMA takes over the model's own tensors instead of their numbers.")
def shared_at_zero(average: nn.Module, model: nn.Module, decay: float) -> None:
    update_average(average, model, decay)
    if decay == 0:
        for ours, theirs in zip(average.parameters(), model.parameters()):
            ours.data = theirs.data


@mistake("update_average", "The EMA and the model share their buffers. Each needs its own.")
def buffers_shared(average: nn.Module, model: nn.Module, decay: float) -> None:
    update_average(average, model, decay)
    for ours, theirs in zip(average.buffers(), model.buffers()):
        ours.data = theirs.data


@mistake(
    "update_average",
    "The model's weights are added in full to what is kept of the EMA. The two factors must add up to 1.",
)
def model_in_full(average: nn.Module, model: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for ours, theirs in zip(average.parameters(), model.parameters()):
            ours.mul_(decay).add_(theirs)
    copy_buffers(average, model)


@mistake("update_average", "The model's part is added, but the EMA isn't scaled down first, so it grows and grows.")
def average_in_full(average: nn.Module, model: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for ours, theirs in zip(average.parameters(), model.parameters()):
            ours.add_((1 - decay) * theirs)
    copy_buffers(average, model)


@mistake("update_average", "Both are multiplied by decay. The two factors must add up to 1.")
def decay_for_both(average: nn.Module, model: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for ours, theirs in zip(average.parameters(), model.parameters()):
            ours.copy_(decay * ours + decay * theirs)
    copy_buffers(average, model)


@mistake("update_average", "EMA and model are averaged half and half: decay isn't used.")
def half_and_half(average: nn.Module, model: nn.Module, decay: float) -> None:
    update_average(average, model, 0.5)


@mistake("update_average", "The decay is a fixed number (0.998) inside. Use the decay that is passed in.")
def decay_fixed(average: nn.Module, model: nn.Module, decay: float) -> None:
    update_average(average, model, 0.998)


@mistake("update_average", "The EMA's own part is lost: what is left is a part of the model's weights.")
def average_lost(average: nn.Module, model: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for ours, theirs in zip(average.parameters(), model.parameters()):
            ours.copy_((1 - decay) * theirs)
    copy_buffers(average, model)


@mistake("update_average", "The update runs twice in each call, or the decay is squared.")
def updated_twice(average: nn.Module, model: nn.Module, decay: float) -> None:
    update_average(average, model, decay)
    update_average(average, model, decay)


@mistake("update_average", "Only the first weight is updated: the loop ends too early.")
def first_weight_only(average: nn.Module, model: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for ours, theirs in zip(average.parameters(), model.parameters()):
            ours.lerp_(theirs, 1 - decay)
            break
    copy_buffers(average, model)


@mistake("update_average", "The biases are left out.")
def no_biases(average: nn.Module, model: nn.Module, decay: float) -> None:
    theirs = dict(model.named_parameters())
    with torch.no_grad():
        for name, ours in average.named_parameters():
            if "bias" not in name:
                ours.lerp_(theirs[name], 1 - decay)
    copy_buffers(average, model)


@mistake("update_average", "Layers inside other layers are left out: only the outermost layers are updated.")
def top_layers_only(average: nn.Module, model: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for ours_in, theirs_in in zip(average.children(), model.children()):
            for ours, theirs in zip(ours_in.parameters(recurse=False), theirs_in.parameters(recurse=False)):
                ours.lerp_(theirs, 1 - decay)
    copy_buffers(average, model)


@mistake("update_average", "Weights of the EMA that don't require gradients are skipped, and that may be all of them.")
def frozen_skipped(average: nn.Module, model: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for ours, theirs in zip(average.parameters(), model.parameters()):
            if ours.requires_grad:
                ours.lerp_(theirs, 1 - decay)
    copy_buffers(average, model)


@mistake(
    "update_average",
    "The EMA's buffers haven't changed: they are left out, or `x = ...` gives a name to a tensor and changes none.",
)
def buffers_forgotten(average: nn.Module, model: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for ours, theirs in zip(average.parameters(), model.parameters()):
            ours.lerp_(theirs, 1 - decay)


@mistake("update_average", "The buffers are averaged like weights. They should be copied as they are.")
def buffers_averaged(average: nn.Module, model: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for ours, theirs in zip(average.state_dict().values(), model.state_dict().values()):
            ours.copy_(decay * ours + (1 - decay) * theirs)


@mistake(
    "update_average",
    "Only floating-point buffers are copied. The counters, which are whole numbers, are left out.",
)
def counters_left_out(average: nn.Module, model: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for ours, theirs in zip(average.parameters(), model.parameters()):
            ours.lerp_(theirs, 1 - decay)
        for ours, theirs in zip(average.buffers(), model.buffers()):
            if ours.is_floating_point():
                ours.copy_(theirs)


@mistake("update_average", "lerp_ is used for the buffers as well, which may be whole numbers. Copy them.")
def all_by_lerp(average: nn.Module, model: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for ours, theirs in zip(average.state_dict().values(), model.state_dict().values()):
            ours.lerp_(theirs, 1 - decay)


@mistake("update_average", "Without torch.no_grad(), torch treats the update as part of the computation to learn from.")
def gradients_on(average: nn.Module, model: nn.Module, decay: float) -> None:
    for ours, theirs in zip(average.parameters(), model.parameters()):
        ours.lerp_(theirs, 1 - decay)
    copy_buffers(average, model)


@mistake("update_average", "New weights take the place of the EMA's own, which stay as they were.")
def new_weights(average: nn.Module, model: nn.Module, decay: float) -> None:
    theirs = dict(model.named_parameters())
    for name, ours in list(average.named_parameters()):
        where, _, last = name.rpartition(".")
        mixed = decay * ours.detach() + (1 - decay) * theirs[name].detach()
        setattr(average.get_submodule(where), last, nn.Parameter(mixed, requires_grad=False))
    copy_buffers(average, model)


@mistake("update_average", "A new network is created and returned, and the EMA that was passed in stays as it was.")
def new_network(average: nn.Module, model: nn.Module, decay: float) -> nn.Module:
    result = copy.deepcopy(average)
    update_average(result, model, decay)
    return result


@mistake("update_average", "The EMA is returned. It is changed in place, so there is nothing to return.")
def average_returned(average: nn.Module, model: nn.Module, decay: float) -> nn.Module:
    update_average(average, model, decay)
    return average


@mistake("update_average", "The model is put into evaluation mode along the way, and left there.")
def model_switched(average: nn.Module, model: nn.Module, decay: float) -> None:
    model.eval()
    update_average(average, model, decay)


@mistake("update_average", "torch.set_grad_enabled(False) is called and never undone. After that, nothing can learn.")
def gradients_off_for_good(average: nn.Module, model: nn.Module, decay: float) -> None:
    torch.set_grad_enabled(False)
    update_average(average, model, decay)


def copy_buffers(average: nn.Module, model: nn.Module) -> None:
    """Copy the buffers, which the mistakes above do right."""
    for ours, theirs in zip(average.buffers(), model.buffers()):
        ours.copy_(theirs)


# ---- 3.4 train ------------------------------------------------------------------------------------------------------

Batches = Iterable[Tensor]
Average = nn.Module | None


@mistake(
    "train",
    "The losses are returned as a list when all the training is done. Hand out each loss right after its step.",
)
def list_returned(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> list[float]:
    losses = []
    for clean in batches:
        losses.append(train_step(model, optimizer, clean, generator=generator))
        if average is not None:
            update_average(average, model, decay)
    return losses


@mistake("train", "`return` inside the loop ends training after the first batch.")
def returned_too_early(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> float:
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        return loss


@mistake("train", "The function trains, but hands out nothing: there is no `yield`.")
def nothing_handed_out(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> None:
    for clean in batches:
        train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)


@mistake("train", "All the training is done first, and only then are the losses handed out.")
def all_before_the_first(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    losses = []
    for clean in batches:
        losses.append(train_step(model, optimizer, clean, generator=generator))
        if average is not None:
            update_average(average, model, decay)
    yield from losses


@mistake("train", "The batches are collected in a list before the first step. They may never end.")
def batches_collected(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in list(batches):
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield loss


@mistake("train", "The batches are counted with len(), which works only for lists.")
def batches_counted(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for i in range(len(batches)):
        loss = train_step(model, optimizer, batches[i], generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield loss


@mistake("train", "next() is called on the batches, which doesn't work for a list. A `for` loop accepts anything.")
def next_of_batches(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    while (clean := next(batches, None)) is not None:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield loss


@mistake("train", "The first step is taken during the call itself, before the caller has asked for a loss.")
def eager(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    stream = iter(batches)

    def step(clean: Tensor) -> float:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        return loss

    first = step(next(stream))

    def rest() -> Iterator[float]:
        yield first
        yield from map(step, stream)

    return rest()


@mistake("train", "The next batch is fetched before the loss is handed out: one more than the caller asked for.")
def one_ahead(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    stream = iter(batches)
    clean = next(stream, None)
    while clean is not None:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        clean = next(stream, None)
        yield loss


@mistake("train", "Each loss is handed out before its step is taken, so the network lags one step behind.")
def loss_before_its_step(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        model.train()
        optimizer.zero_grad()
        loss = denoising_loss(model, clean, generator=generator)
        loss.backward()
        yield loss.item()
        optimizer.step()
        if average is not None:
            update_average(average, model, decay)


@mistake("train", "The step's number is handed out along with the loss.")
def numbered(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[tuple[int, float]]:
    for k, clean in enumerate(batches):
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield k, loss


@mistake("train", "`yield` hands out nothing. Name the loss after it.")
def bare_yield(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[None]:
    for clean in batches:
        train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield


@mistake("train", "The list of all losses so far is handed out, not the loss of this step.")
def all_so_far(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[list[float]]:
    losses = []
    for clean in batches:
        losses.append(train_step(model, optimizer, clean, generator=generator))
        if average is not None:
            update_average(average, model, decay)
        yield losses


@mistake("train", "The mean of all losses so far is handed out, not the loss of this step.")
def running_mean(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    total = 0.0
    for k, clean in enumerate(batches):
        total += train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield total / (k + 1)


@mistake("train", "The sum of all losses so far is handed out, not the loss of this step.")
def running_sum(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    total = 0.0
    for clean in batches:
        total += train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield total


@mistake("train", "Only one loss is handed out, after the last step: the `yield` is outside the loop.")
def only_the_last(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
    yield loss


@mistake("train", "The loss is handed out only if there is an EMA: the `yield` is inside the `if`.")
def only_with_an_average(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
            yield loss


@mistake("train", "The first batch is thrown away.")
def first_batch_lost(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    stream = iter(batches)
    next(stream)
    for clean in stream:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield loss


@mistake("train", "The last loss is never handed out: the step is taken, but its loss is lost.")
def last_loss_lost(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    loss = None
    for clean in batches:
        if loss is not None:
            yield loss
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)


@mistake("train", "Training uses the first batch again and again. It should take the next batch each time.")
def first_batch_forever(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    first = None
    for clean in batches:
        first = clean if first is None else first
        loss = train_step(model, optimizer, first, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield loss


@mistake("train", "Two steps are taken with each batch.")
def each_batch_twice(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        train_step(model, optimizer, clean, generator=generator)
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield loss


@mistake("train", "When the batches end, the loop starts them again. Training should end with the batches.")
def never_ends(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    while True:
        for clean in batches:
            loss = train_step(model, optimizer, clean, generator=generator)
            if average is not None:
                update_average(average, model, decay)
            yield loss


@mistake("train", "The EMA is never updated.")
def average_forgotten(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        yield train_step(model, optimizer, clean, generator=generator)


@mistake("train", "The EMA is updated after the loss is handed out, so the caller sees the EMA one step late.")
def average_after_the_loss(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        yield train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)


@mistake("train", "The EMA is updated before the step, so it misses what the step has learned.")
def average_before_the_step(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        if average is not None:
            update_average(average, model, decay)
        yield train_step(model, optimizer, clean, generator=generator)


@mistake("train", "The EMA is updated once, after the batches have ended. It should follow every step.")
def average_at_the_end(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        yield train_step(model, optimizer, clean, generator=generator)
    if average is not None:
        update_average(average, model, decay)


@mistake("train", "EMA and model are swapped in the call, so the model is pulled back at every step.")
def average_and_model_swapped(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(model, average, decay)
        yield loss


@mistake("train", "An EMA is created inside, and the EMA that was passed in stays as it was.")
def average_of_its_own(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    if average is not None:
        average = copy.deepcopy(model)
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield loss


@mistake("train", "The EMA starts over as a copy of the model. It should continue from where it is.")
def average_started_anew(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    if average is not None:
        average.load_state_dict(model.state_dict())
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield loss


@mistake("train", "The decay isn't passed on: the EMA always uses 0.998, whatever the caller asked for.")
def decay_not_handed_on(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, 0.998)
        yield loss


@mistake("train", "The decay grows from step to step, as in some recipes. Use it as it is passed in.")
def decay_warmed_up(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for k, clean in enumerate(batches):
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, min(decay, (1 + k) / (10 + k)))
        yield loss


@mistake("train", "At the first step, the EMA becomes a copy of the model. It should continue from where it is.")
def average_copied_first(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for k, clean in enumerate(batches):
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay if k else 0)
        yield loss


@mistake("train", "1 - decay is passed where decay belongs.")
def one_minus_decay(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, 1 - decay)
        yield loss


@mistake("train", "A decay of 0 is treated as no decay at all, and replaced by 0.998.")
def zero_is_nothing(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay or 0.998)
        yield loss


@mistake("train", "The default decay isn't 0.998 here.")
def another_default(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.999,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield loss


@mistake("train", "The EMA is updated even if there is none.")
def none_is_averaged(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        update_average(average, model, decay)
        yield loss


@mistake("train", "The generator isn't passed on to train_step, so the same seed gives a different run.")
def without_the_generator(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        loss = train_step(model, optimizer, clean)
        if average is not None:
            update_average(average, model, decay)
        yield loss


@mistake("train", "The generator is reseeded at each step, so every step gets the same noise.")
def reseeded_each_step(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        if generator is not None:
            generator.manual_seed(generator.initial_seed())
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield loss


@mistake("train", "An `except` around the `yield` also catches the caller's request to stop, and training goes on.")
def never_closes(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        try:
            yield loss
        except BaseException:
            pass


@mistake(
    "train",
    "Nothing puts the network back into training mode for each step. "
    "A caller may switch to evaluation mode in between.",
)
def training_mode_once(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    model.train()
    for clean in batches:
        optimizer.zero_grad()
        loss = denoising_loss(model, clean, generator=generator)
        loss.backward()
        optimizer.step()
        if average is not None:
            update_average(average, model, decay)
        yield loss.item()


@mistake("train", "After the last batch, the EMA is updated once more, without a new step to take in.")
def averaged_once_more(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield loss
    if average is not None:
        update_average(average, model, decay)


@mistake(
    "train",
    "The network is put into evaluation mode before the loss is handed out. That is up to the caller.",
)
def evaluation_mode_for_the_caller(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        model.eval()
        yield loss


@mistake(
    "train",
    "next() raises StopIteration when the batches end, and this error must not leave a generator. "
    "A `for` loop takes care of it.",
)
def stop_iteration_escapes(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    stream = iter(batches)
    while True:
        clean = next(stream)
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield loss


@mistake("train", "A generator with a fixed seed is created inside, so every run gets the same noise.")
def fixed_seed(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    generator = torch.Generator().manual_seed(0)
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield loss


@mistake("train", "Without a generator, one with a fixed seed is created inside, so every run gets the same noise.")
def fixed_seed_by_default(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    generator = generator or torch.Generator()
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield loss


@mistake("train", "torch.manual_seed is called inside, which also changes the random numbers of everything else.")
def everyone_reseeded_at_the_start(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    torch.manual_seed(0)
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield loss


@mistake("train", "The learning rate is lowered from step to step. It belongs to the caller.")
def learning_rate_lowered(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        for group in optimizer.param_groups:
            group["lr"] *= 0.99
        yield loss


@mistake("train", "The model is copied into the EMA after each step, so nothing is averaged.")
def average_copied(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            average.load_state_dict(model.state_dict())
        yield loss


@mistake("train", "Each batch is cut into smaller ones, with one step for each.")
def batches_split(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        for part in clean.split(2):
            loss = train_step(model, optimizer, part, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield loss


@mistake("train", "The batches are taken from the last to the first.")
def order_reversed(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in reversed(list(batches)):
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield loss
