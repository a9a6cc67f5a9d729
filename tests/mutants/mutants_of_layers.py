"""Ordinary bugs of linear layers, units, containers and dropout's relatives."""

from mutation import bug

LINEAR = "minidrop.layers.linear:Linear."
DROPCONNECT = "minidrop.layers.dropconnect:DropConnect."
SEQUENTIAL = "minidrop.layers.sequential:Sequential."


LAYER_MUTANTS = [
    # linear maps
    bug(
        "bias gradient along the wrong axis",
        "minidrop.backends.base:Backend.column_sums",
        "axis=-2",
        "axis=-1",
        "gradients of Linear",
    ),
    bug(
        "bias gradient is a mean",
        "minidrop.backends.base:Backend.column_sums",
        "xp.sum",
        "xp.mean",
        "gradients of Linear",
    ),
    bug(
        "a first layer's parameters are left out",
        "minidrop.layers.layer:Layer.backward_parameters",
        "self.backward(dy)",
        "pass",
        "parameter gradients of any layer",
    ),
    bug("dW transposed", LINEAR + "backward_parameters", "(dy.T, x,", "(x.T, dy,", "gradients of Linear"),
    bug(
        "dW from its own output gradient twice",
        LINEAR + "backward_parameters",
        "(dy.T, x,",
        "(dy.T, dy,",
        "gradients of Linear",
    ),
    bug(
        "dx through the transposed weight",
        LINEAR + "backward",
        "self.weight.value,",
        "self.weight.value.T,",
        "gradients of Linear",
    ),
    bug(
        "forward through the transposed weight",
        LINEAR + "forward",
        "self.weight.value.T",
        "self.weight.value",
        "gradients of Linear",
    ),
    bug(
        "bias subtracted",
        LINEAR + "forward",
        "y += self.bias.value",
        "y -= self.bias.value",
        "gradients of Linear",
    ),
    bug(
        "gradients accumulated",
        LINEAR + "backward_parameters",
        "self.backend.xp.matmul(dy.T, x, out=self.weight.new_grad())",
        "self.weight.new_grad()[...] += dy.T @ x",
        "gradients are written",
    ),
    bug(
        "dy of the last layer for all",
        SEQUENTIAL + "backward",
        "dy = layer.backward(dy)",
        "dx = layer.backward(dy)",
        "gradients of a net",
    ),
    bug(
        "backward in the order of forward",
        SEQUENTIAL + "backward",
        "reversed(self.layers)",
        "self.layers",
        "gradients of a net",
    ),
    bug(
        "the first layer with parameters left out",
        SEQUENTIAL + "backward_parameters",
        "write_gradients(self.layers[first], dy)",
        "pass",
        "parameter gradients alone",
    ),
    bug(
        "a first layer's own backward pass is not asked",
        "minidrop.layers.layer:write_gradients",
        'if "backward" in vars(kind):',
        "if False:",
        "gradients of a first layer of one's own",
    ),
    bug(
        "the layers in a container begin alike",
        "minidrop.layers.layer:Layer.seed",
        "index = leaf.seed(seed, index)",
        "leaf.seed(seed, index)",
        "seeds in a container",
    ),
    bug(
        "a container's masks are those of any step",
        "minidrop.layers.layer:Layer.set_step",
        "leaf.set_step(step)",
        "pass",
        "seeds in a container",
    ),
    bug(
        "outputs share one buffer",
        "minidrop.backends.workspace:Workspace.array",
        "if not self.reuse",
        "if False",
        "results share no memory",
    ),
    # units
    bug(
        "ReLU bends elsewhere than at 0",
        "minidrop.layers.relu:ReLU.function",
        "maximum(x, 0,",
        "maximum(x, -0.1,",
        "rescaled units",
    ),
    bug(
        "bias gradients divided by the batch size",
        LINEAR + "backward_parameters",
        "self.bias.new_grad())",
        "self.bias.new_grad()); self.bias.grad[...] /= len(dy)",
        "conserved quantity",
    ),
    bug(
        "ReLU passes all gradients",
        "minidrop.layers.relu:ReLU.gradient",
        "xp.greater(",
        "xp.greater_equal(",
        "gradients of ReLU",
    ),
    bug(
        "wrong sign in the logistic derivative",
        "minidrop.layers.sigmoid:Sigmoid.gradient",
        "(1, y,",
        "(y, 1,",
        "gradients of Sigmoid",
    ),
    bug(
        "y missing in the logistic derivative",
        "minidrop.layers.sigmoid:Sigmoid.gradient",
        "dx *= y",
        "pass",
        "gradients of Sigmoid",
    ),
    # dropout's relatives
    bug(
        "scale missing in backward of StochasticReLU",
        "minidrop.layers.stochastic_relu:StochasticReLU.backward",
        "dx *= factor",
        "pass",
        "gradients of StochasticReLU",
    ),
    bug(
        "noise missing in backward",
        "minidrop.layers.noise:GaussianNoise.backward",
        "(dy, noise,",
        "(dy, 1.0,",
        "gradients of GaussianNoise",
    ),
    bug(
        "noise of mean 0",
        "minidrop.layers.noise:GaussianNoise._draw",
        "noise += 1",
        "pass",
        "moments of noise",
    ),
    bug(
        "noise of variance std",
        "minidrop.layers.noise:GaussianNoise._draw",
        "noise *= self.std",
        "noise *= self.std**0.5",
        "moments of noise",
    ),
    bug(
        "mask missing in dW of DropConnect",
        DROPCONNECT + "backward",
        "weight.grad[...] *= keep",
        "pass",
        "gradients of DropConnect, per batch",
    ),
    bug(
        "scale missing in dW of DropConnect",
        DROPCONNECT + "backward",
        "weight.grad[...] *= self.rate.scale",
        "pass",
        "mean of DropConnect",
    ),
    bug(
        "mask missing in dW, per example",
        DROPCONNECT + "backward",
        "outer *= keep_i",
        "pass",
        "gradients of DropConnect, per example",
    ),
    bug(
        "backward draws the next step's masks",
        DROPCONNECT + "backward",
        "(keep, step, i)",
        "(keep, self.step, i)",
        "masks of both passes",
    ),
    bug(
        "k missing in the variance of moment matching",
        DROPCONNECT + "_moment_matched",
        "k * (1 - k) *",
        "k *",
        "moment matching",
    ),
]
