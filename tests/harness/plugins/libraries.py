"""Functions of other libraries as methods, each as its library offers it: what is not installed is left out.

Versions: SciPy 1.12 to 1.17, curvlinops 3, skerch 1.2, PyHessian from its repository.
"""

import warnings
from importlib.util import find_spec
from types import SimpleNamespace

import torch
from scipy.sparse.linalg import ArpackNoConvergence
from scipy.sparse.linalg import eigsh as scipy_eigsh
from scipy.sparse.linalg import lobpcg as scipy_lobpcg

from hessbench import Diagonal, Estimate, Method, TopEigenvalues, Trace, seeded_globally

METHODS = []


def eigsh(op, /, *, num_matvecs, generator, k=10):
    start = torch.randn(op.dim, generator=generator, device=op.device).cpu().numpy()
    basis = max(
        k + 1, min(op.dim, (num_matvecs + k - 1) // 2)
    )  # until it restarts it takes up to 2 basis - k + 1 products
    try:
        values = scipy_eigsh(op.to_scipy(), k, v0=start, ncv=basis, maxiter=1, return_eigenvectors=False)
    except ArpackNoConvergence as stopped:
        values = stopped.eigenvalues
    return Estimate(torch.as_tensor(values))


def lobpcg(op, /, *, num_matvecs, generator, k=10):
    start = torch.randn(op.dim, k, generator=generator, device=op.device).cpu().double().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where the budget ends it
        values, _ = scipy_lobpcg(op.to_scipy(), start, maxiter=num_matvecs // k - 3)
    return Estimate(torch.as_tensor(values))


METHODS += [
    Method("scipy-eigsh", eigsh, (TopEigenvalues,), library="scipy", min_matvecs=lambda dim, k: k + 3),
    Method("scipy-lobpcg", lobpcg, (TopEigenvalues,), library="scipy", requires=("psd",),
           min_matvecs=lambda dim, k: 4 * k),
]  # fmt: skip


if find_spec("curvlinops"):
    import curvlinops

    def hutchpp(op, /, *, num_matvecs, generator):
        with seeded_globally(generator):
            return Estimate(curvlinops.hutchpp_trace(op, max(3, min(num_matvecs, op.dim - 1) // 3 * 3)))

    def xtrace(op, /, *, num_matvecs, generator):
        with seeded_globally(generator):
            return Estimate(curvlinops.xtrace(op, max(2, min(num_matvecs, op.dim - 1) // 2 * 2)))

    def xdiag(op, /, *, num_matvecs, generator):
        with seeded_globally(generator):
            return Estimate(curvlinops.xdiag(op, max(2, min(num_matvecs, op.dim - 1) // 2 * 2)))

    METHODS += [
        Method("curvlinops-hutchpp", hutchpp, (Trace,), library="curvlinops-for-pytorch", min_matvecs=3),
        Method("curvlinops-xtrace", xtrace, (Trace,), library="curvlinops-for-pytorch", min_matvecs=2),
        Method("curvlinops-xdiag", xdiag, (Diagonal,), library="curvlinops-for-pytorch", min_matvecs=2),
    ]


if find_spec("skerch"):
    from skerch import algorithms as skerch

    def seigh(op, /, *, num_matvecs, generator):
        with seeded_globally(generator) as seed:
            width = min(num_matvecs // 2, op.dim)
            return Estimate(skerch.seigh(op, op.device, op.dtype, width, seed=seed, recovery_type="hmt")[0])

    def hutch(op, /, *, num_matvecs, generator):
        with seeded_globally(generator) as seed:
            return Estimate(skerch.hutch(op, op.device, op.dtype, num_meas=num_matvecs, seed=seed)["tr"])

    def xhutchpp(op, /, *, num_matvecs, generator):
        with seeded_globally(generator) as seed:
            width = min(num_matvecs // 2, op.dim)
            return Estimate(skerch.xhutchpp(op, op.device, op.dtype, x_dims=width, seed=seed)["tr"])

    METHODS += [
        Method("skerch-seigh", seigh, (TopEigenvalues,), library="skerch", min_matvecs=8),
        Method("skerch-hutch", hutch, (Trace,), library="skerch"),
        Method("skerch-xhutchpp", xhutchpp, (Trace,), library="skerch", min_matvecs=4),
    ]


if find_spec("pyhessian"):
    from pyhessian import hessian

    class Power(hessian):
        """Its power iteration with products of ours; it draws and multiplies lists of tensors, here of one."""

        def __init__(self, op):
            self.op, self.device, self.full_dataset = op, op.device, True
            self.params, self.model = [torch.empty(op.dim)], SimpleNamespace(zero_grad=lambda: None)

        def dataloader_hv_product(self, v):
            product = self.op @ v[0].to(self.op.dtype)
            return (product @ v[0].to(product.dtype)).item(), [product]

    def power(op, /, *, num_matvecs, generator, k=10):
        with seeded_globally(generator):
            return Estimate(torch.tensor(Power(op).eigenvalues(num_matvecs // k, top_n=k)[0]))

    METHODS += [
        Method("pyhessian-power", power, (TopEigenvalues,), library="pyhessian", min_matvecs=lambda dim, k: 2 * k)
    ]
