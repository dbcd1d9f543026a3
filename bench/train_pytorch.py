"""Training tokens/s of a small hybrid in PyTorch on the CPU: the peer of bench/train.ts.

The same model as layermix's, layer by layer (pre-norm residual sub-blocks, Mamba-2 in the chunked SSD form, causal
SDPA attention, MLP; AdamW, clip 1.0), written the way a careful PyTorch user would: fused projections, batched
einsums over chunks, F.scaled_dot_product_attention, fused AdamW. Eager and torch.compile are both timed.

usage: train_pytorch.py '{"pattern": "M-M*-M-", "hidden": 128, ...}'   (bench/train.ts passes the configuration)
prints one JSON object: {"torch": ..., "threads": ..., "modes": {"eager": {...}, "compile": {...}}}
"""

import json
import os
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class Mamba2(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.dim, self.groups, self.state = c["heads"], c["head_dim"], c["groups"], c["state"]
        self.chunk = c["chunk"]
        self.inner = self.heads * self.dim
        self.channels = self.inner + 2 * self.groups * self.state
        self.in_proj = nn.Linear(c["hidden"], self.inner + self.channels + self.heads, bias=False)
        self.conv = nn.Conv1d(self.channels, self.channels, c["conv"], groups=self.channels, padding=c["conv"] - 1)
        self.dt_bias = nn.Parameter(torch.full((self.heads,), -4.0))
        self.a_log = nn.Parameter(torch.log(torch.rand(self.heads) * 15 + 1))
        self.d = nn.Parameter(torch.ones(self.heads))
        self.norm = nn.Parameter(torch.ones(self.inner))
        self.out_proj = nn.Linear(self.inner, c["hidden"], bias=False)

    def scan(self, x, dt, b, c):
        # x (B,T,H,P)  dt (B,T,H)  b, c (B,T,G,N); T is a multiple of the chunk here
        batch, time_, heads, dim = x.shape
        n, length = time_ // self.chunk, self.chunk
        per = heads // self.groups
        a = (-torch.exp(self.a_log) * dt).view(batch, n, length, heads).permute(0, 3, 1, 2)  # (B,H,n,L)
        cum = a.cumsum(-1)
        xd = (x * dt.unsqueeze(-1)).view(batch, n, length, self.groups, per, dim)
        b = b.view(batch, n, length, self.groups, self.state)
        c = c.view(batch, n, length, self.groups, self.state)
        mask = torch.ones(length, length, dtype=torch.bool).tril()
        decay = torch.exp((cum.unsqueeze(-1) - cum.unsqueeze(-2)).masked_fill(~mask, float("-inf")))  # (B,H,n,L,L)
        decay = decay.view(batch, self.groups, per, n, length, length)
        cb = torch.einsum("bnigs,bnjgs->bgnij", c, b)
        y = torch.einsum("bghnij,bnjghp->bnighp", cb.unsqueeze(2) * decay, xd)
        to_end = torch.exp(cum[..., -1:] - cum).view(batch, self.groups, per, n, length)
        local = torch.einsum("bnjgs,bghnj,bnjghp->bnghps", b, to_end, xd)
        total = torch.exp(cum[..., -1]).view(batch, self.groups, per, n)
        state = torch.zeros_like(local[:, 0])
        starts = []
        for i in range(n):
            starts.append(state)
            state = state * total[..., i, None, None] + local[:, i]
        starts = torch.stack(starts, 1)
        y = y + torch.einsum("bnigs,bnghps,bghni->bnighp", c, starts, torch.exp(cum).view(batch, self.groups, per, n, length))
        return y.reshape(batch, time_, heads, dim) + x * self.d[:, None]

    def forward(self, u):
        batch, time_, _ = u.shape
        z, xbc, dt = self.in_proj(u).split([self.inner, self.channels, self.heads], -1)
        xbc = F.silu(self.conv(xbc.transpose(1, 2))[..., :time_].transpose(1, 2))
        x, b, c = xbc.split([self.inner, self.groups * self.state, self.groups * self.state], -1)
        y = self.scan(
            x.view(batch, time_, self.heads, self.dim),
            F.softplus(dt + self.dt_bias),
            b.view(batch, time_, self.groups, self.state),
            c.view(batch, time_, self.groups, self.state),
        ).reshape(batch, time_, self.inner)
        y = (y * F.silu(z)).view(batch, time_, self.groups, -1)
        y = F.rms_norm(y, y.shape[-1:], eps=1e-5).reshape(batch, time_, self.inner) * self.norm
        return self.out_proj(y)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.kv, self.dim = c["attention_heads"], c["kv_heads"], c["attention_head_dim"]
        self.qkv = nn.Linear(c["hidden"], (self.heads + 2 * self.kv) * self.dim, bias=False)
        self.out = nn.Linear(self.heads * self.dim, c["hidden"], bias=False)

    def forward(self, u):
        batch, time_, _ = u.shape
        q, k, v = self.qkv(u).view(batch, time_, -1, self.dim).transpose(1, 2).split([self.heads, self.kv, self.kv], 1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.kv != self.heads)
        return self.out(y.transpose(1, 2).reshape(batch, time_, -1))


class Mlp(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.up = nn.Linear(c["hidden"], c["width"], bias=False)
        self.down = nn.Linear(c["width"], c["hidden"], bias=False)

    def forward(self, u):
        return self.down(F.gelu(self.up(u), approximate="tanh"))


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        kinds = {"M": Mamba2, "*": Attention, "-": Mlp}
        self.embedding = nn.Embedding(c["vocab"], c["hidden"])
        self.norms = nn.ModuleList(nn.RMSNorm(c["hidden"], eps=1e-5) for _ in c["pattern"])
        self.mixers = nn.ModuleList(kinds[s](c) for s in c["pattern"])
        self.final = nn.RMSNorm(c["hidden"], eps=1e-5)
        self.head = nn.Linear(c["hidden"], c["vocab"], bias=False)

    def forward(self, tokens, targets):
        h = self.embedding(tokens)
        for norm, mixer in zip(self.norms, self.mixers):
            h = h + mixer(norm(h))
        return F.cross_entropy(self.head(self.final(h)).flatten(0, 1), targets.flatten())


def measure(config, compiled):
    torch.manual_seed(1)
    model = Model(config)
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() > 1:
                p.normal_(0, 0.02)
    run = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    tokens = torch.randint(0, config["vocab"], (config["batch"], config["sequence"] + 1))
    x, y = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()

    def step():
        optimizer.zero_grad(set_to_none=True)
        run(x, y).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    for _ in range(config["warmup"]):
        step()
    times = []
    for _ in range(config["steps"]):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times)
    return {
        "params": sum(p.numel() for p in model.parameters()),
        "stepSeconds": seconds,
        "tokensPerSecond": config["batch"] * config["sequence"] / seconds,
    }


def main():
    config = json.loads(sys.argv[1])
    torch.set_num_threads(config.get("threads", os.cpu_count()))
    modes = {}
    for mode in config.get("modes", ["eager", "compile"]):
        modes[mode] = measure(config, mode == "compile")
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), "modes": modes}))


if __name__ == "__main__":
    main()
