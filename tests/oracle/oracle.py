#!/usr/bin/python3
"""An oracle for davy's statistics: the formulae of docs/judging.md once more, in another language.

    oracle.py N SEED      N random cases with the numbers that must come out, as JSON on stdout

Written from the formulae, not from the C++: plain, slow, one function per formula. `davy_oracle` (check.cpp
beside this) reads the cases and compares what davy computes. Doubles are printed so that they read back
exactly; an infinite one is null. Every case has a `slack`: what double arithmetic itself may lose, because a
sum over a billion requests cannot be right to 1e-9.

n = requests, k = events, p = rates, 1 = V1, 2 = V2, logs natural. A block is [n1, k1, n2, k2].
"""
import itertools
import json
import math
import random
import sys
from decimal import Decimal, getcontext

getcontext().prec = 60
INF = math.inf
ULP = 2.0**-52
ENOUGH = math.log(1e304)  # evidence beyond it has long decided, and stands still


def log_sum(logs):
    most = max(logs)
    return most if math.isinf(most) else most + math.log(math.fsum(math.exp(x - most) for x in logs))


def average_to(old, new, dt, half_life):
    """An exponentially weighted average, one step on; None = nothing seen yet."""
    return new if old is None else old + (1 - 2 ** (-dt / half_life)) * (new - old)


# --- the block e-variables -------------------------------------------------------------------------------

def times(count, each):
    return count * each if count else count * 0


def log_lin(block, p1, p2, r, d, log=math.log, root=math.sqrt, one=1.0):
    """Null p2 <= r p1 + d. x is the null's point nearest to (p1, p2): n1 (1 - p1/x) + n2 r (1 - p2/g) = 0."""
    n1, k1, n2, k2 = block
    a = r * (n1 + n2 * r)
    if a == 0:
        return 0 * one
    b = n1 * d - n1 * p1 * r + n2 * r * d - n2 * r * p2
    c = n1 * p1 * d
    s = root(b * b + 4 * a * c)
    x = 2 * c / (b + s) if b > 0 else (s - b) / (2 * a)
    g = r * x + d
    if x <= 0 or g <= 0:
        return 0 * one
    return times(k2, log(p2 / g)) + times(k1, log(p1 / x)) - n2 * d * (p2 / g - 1)


def log_eq(block, p1, p2):
    """Null p2 = p1; q is the pooled rate."""
    n1, k1, n2, k2 = block
    if n1 + n2 == 0:
        return 0.0
    q = (n1 * p1 + n2 * p2) / (n1 + n2)
    return (times(k1, math.log(p1 / q)) + times(n1 - k1, math.log1p((q - p1) / (1 - q))) +
            times(k2, math.log(p2 / q)) + times(n2 - k2, math.log1p((q - p2) / (1 - q))))


def log_one(n2, k2, p2, d):
    """Null p2 = d."""
    return times(k2, math.log(p2 / d)) + times(n2 - k2, math.log1p((d - p2) / (1 - d)))


def log_e(null, block, p1, p2):
    if null["kind"] == "lin":
        return log_lin(block, p1, p2, null["r"], null["d"])
    return log_eq(block, p1, p2) if null["kind"] == "eq" else log_one(block[2], block[3], p2, null["d"])


def exact_log_e(null, block, p1, p2):
    """The same in 60 digits, by the textbook's formulae: no trick for rounding is needed."""
    n1, k1, n2, k2 = (Decimal(x) for x in block)
    p1, p2, d, r = Decimal(p1), Decimal(p2), Decimal(null["d"]), Decimal(null["r"])
    if null["kind"] == "lin":
        return float(log_lin((n1, k1, n2, k2), p1, p2, r, d, lambda x: x.ln(), lambda x: x.sqrt(), Decimal(1)))
    pairs = [(n2, k2, p2, d)]
    if null["kind"] == "eq":
        q = (n1 * p1 + n2 * p2) / (n1 + n2)
        pairs = [(n1, k1, p1, q), (n2, k2, p2, q)]
    return float(sum(times(k, (p / q).ln()) + times(n - k, ((1 - p) / (1 - q)).ln()) for n, k, p, q in pairs))


def boundary(null, p1, widen=1.0):
    if null["kind"] == "one":
        return null["d"]
    return p1 if null["kind"] == "eq" else min(0.9, null["r"] * widen * p1 + null["d"])


def odds(theta, p):
    return theta * p / (1 - p + theta * p)


def slack(block, phi=1.0):
    """What rounding may change in a block's evidence: each request's logarithm by a few units in the last place."""
    return 8 * ULP * (block[0] + block[2]) / phi


# --- the processes ---------------------------------------------------------------------------------------

class Worse:
    """FAIL, HOLD, WARN: a mixture over effect sizes and starting times."""
    THETA = (1.03, 1.1, 1.25, 1.6, 2.1, 3, 5, 10, 30, 150)

    def __init__(self, null, theta=THETA):
        self.null, self.theta = null, theta
        self.cash, self.log_r = 1.0, [-INF] * len(theta)
        self.seconds = None

    def stake(self, share):
        new = math.log(self.cash * share / len(self.theta)) if self.cash > 0 else -INF
        self.log_r = [log_sum((r, new)) for r in self.log_r]
        self.cash *= 1 - share

    def begin_stage(self):
        self.stake(0.25)

    def see(self, block, p1, dt, phi=1.0, cap=INF, widen=1.0):
        self.stake(0.6 if self.seconds is None else min(0.5, dt / (self.seconds + 600)))
        self.seconds = (self.seconds or 0.0) + dt
        if self.log_m() >= ENOUGH:
            return
        edge = boundary(self.null, p1, widen)
        null = dict(self.null, r=self.null["r"] * widen)
        for j, theta in enumerate(self.theta):
            p2 = odds(theta, edge)
            if p2 > 0.98:
                p2 = max(0.98, edge)
            if self.null["kind"] == "lin" and p2 <= null["r"] * p1 + null["d"]:
                continue  # nearly everything is tolerated: nothing worse is left to bet on
            won = min(cap, log_e(null, block, p1, p2) / phi)
            self.log_r[j] = min(ENOUGH, self.log_r[j] + min(700.0, won))

    def log_m(self):
        return log_sum([math.log(self.cash) if self.cash > 0 else -INF] + self.log_r)


class NotWorse:
    """PASS: three alternatives between equal and the edge of the null; starts again with every stage."""
    WEIGHTS, PLACES = (0.6, 0.2, 0.2), (0, -0.5, 0.35)

    def __init__(self, null):
        self.null = null
        self.begin_stage()

    def begin_stage(self):
        self.log_r = [math.log(w) for w in self.WEIGHTS]

    def see(self, block, p1, equal, phi=1.0, cap=INF):
        if self.log_m() > 700:
            return
        edge = boundary(self.null, p1)
        for j, place in enumerate(self.PLACES):
            p2 = min(edge, max(0.1 * equal, equal + place * (edge - equal)))
            self.log_r[j] += min(cap, log_e(self.null, block, p1, p2) / phi)

    def log_m(self):
        return log_sum(self.log_r)


class Interval:
    """Ratios on a grid from 1/64 to 64 that the mixture over the grid has not ruled out, and one step more."""

    def __init__(self):
        self.s = [0.0] * 121

    def see(self, block, phi=1.0):
        n1, k1, n2, k2 = block
        if k1 + k2 == 0:
            return
        for i in range(121):
            rho = 2 ** (-6 + 0.1 * i)
            self.s[i] += (k2 * math.log(rho) - (k1 + k2) * math.log(n1 + n2 * rho)) / phi

    def edge(self, level):
        return log_sum(self.s) - math.log(121) + math.log(level)

    def bounds(self, level=0.05):
        kept = [i for i in range(121) if self.s[i] > self.edge(level)]
        low, high = max(0, kept[0] - 1), min(120, kept[-1] + 1)
        return (0.0 if low == 0 else 2 ** (-6 + 0.1 * low), INF if high == 120 else 2 ** (-6 + 0.1 * high))

    def is_clear(self, level=0.05):
        """No point lies so near to the edge that rounding decides."""
        room = 1e-9 * max(1.0, max(abs(x) for x in self.s))
        return all(abs(x - self.edge(level)) > room for x in self.s)


# --- robust mode -----------------------------------------------------------------------------------------

class Bursts:
    def __init__(self, usual):
        self.usual = usual

    def share(self, events, dt):
        h = self.usual * dt
        return min(1.0, (h + 2 * math.sqrt(h) + 1) / events) if events else 1.0

    def see(self, events, dt):
        self.usual = average_to(self.usual, min(events, 4 * (self.usual * dt + 1)) / dt, dt, 300)


class Information:
    """Per minute: what the noise floor is a multiple of."""

    def __init__(self):
        self.v = None

    def see(self, block, share, dt):
        n1, k1, n2, k2 = block
        n, k = n1 + n2, k1 + k2
        self.v = average_to(self.v, k * share * (1 - k / n) * n1 * n2 / n**2 * 60 / dt if n else 0.0, dt, 60)

    def floor(self, sigma):
        return 1 + sigma**2 * (self.v or 0.0)


class Haar:
    """Overdispersion of the log rate ratio. A cell is (kA, kB, expected kB, N)."""

    def __init__(self, prior=1.0):
        self.prior = prior
        self.open = (0.0, 0.0, 0.0, 0.0)
        self.waiting = [None] * 10
        self.coefficients = [[] for _ in range(10)]

    @staticmethod
    def variance_and_excess(cell, ratio):
        ka, kb, eb, n = cell
        k = ka + kb
        if k <= 0:
            return 0.0, 0.0
        even = eb / k
        pi = even * ratio / (1 - even + even * ratio)
        return k * max(0.02, 1 - k / max(n, k)) * pi * (1 - pi), kb - k * pi

    def see(self, block, share=1.0):
        na, ka, nb, kb = block
        if na <= 0 or nb <= 0 or ka + kb <= 0:
            return
        new = (ka * share, kb * share, (ka + kb) * share * nb / (na + nb), na + nb)
        self.open = tuple(x + y for x, y in zip(self.open, new))
        if self.variance_and_excess(self.open, 1.0)[0] >= 1:
            self.push(0, self.open)
            self.open = (0.0, 0.0, 0.0, 0.0)

    def push(self, scale, cell):
        if scale == 10:
            return
        first, self.waiting[scale] = self.waiting[scale], None
        if first is None:
            self.waiting[scale] = cell
            return
        above = below = 0.5  # Mantel and Haenszel's pooled ratio
        for ka, kb, eb, _ in (first, cell):
            even = eb / (ka + kb)
            above += kb * (1 - even)
            below += ka * even
        (v, z), (w, y) = (self.variance_and_excess(c, above / below) for c in (first, cell))
        if v > 0 and w > 0:
            self.coefficients[scale].append((z / v - y / w) ** 2 / (1 / v + 1 / w))
        self.push(scale + 1, tuple(x + y for x, y in zip(first, cell)))

    def phi(self):
        def estimate(c):
            return (8 * self.prior + math.fsum(c)) / (8 + len(c))
        found = [estimate(c) for c in self.coefficients if len(c) >= 4]
        if self.prior > 1:  # here nothing seen yet is no reason to believe in independence
            found.append(estimate(self.coefficients[0]))
        return max([1.0] + found)


class Noise:
    """By how much two equal versions' minutes differ, from stretches of 1, 2 and 4 minutes."""

    def __init__(self):
        self.open = [([0.0] * 4, 0.0) for _ in range(3)]
        self.cells = [[], [], []]

    def see(self, block, dt):
        for i, (sums, seconds) in enumerate(self.open):
            sums, seconds = [x + y for x, y in zip(sums, block)], seconds + dt
            if seconds >= 60 * 2**i:
                n1, k1, n2, k2 = sums
                n, k = n1 + n2, k1 + k2
                pi = n2 / n if n else 0.0
                v = k * pi * (1 - pi) * (1 - k / n) if n else 0.0
                if v > 0:
                    self.cells[i].append((v, k2 - k * pi))
                sums, seconds = [0.0] * 4, 0.0
            self.open[i] = (sums, seconds)

    def sigma(self):
        if len(self.cells[0]) < 4:
            return 0.0
        most = 0.0
        for i, cells in enumerate(self.cells):
            if len(cells) < 3:
                continue
            information = sum(v * v for v, z in cells)
            # What chance alone may show is no noise.
            excess = sum(z * z - v for v, z in cells) - math.sqrt(2 * information)
            most = max(most, excess / information * 2**i * (1 + math.sqrt(2 / len(cells))))
        return math.sqrt(most)


def pod_margin(pods, m2, phi):
    """pods = V1's (n, k)."""
    m1 = len(pods)
    n, k = sum(p[0] for p in pods), sum(p[1] for p in pods)
    if m1 < 2 or m2 == 0 or k <= 0:
        return 1.0
    x = sum((ki - ni * k / n) ** 2 / (ni * k / n) for ni, ki in pods if ni > 0)
    tau = math.sqrt(max(0.0, (x / (m1 - 1) - phi) / (k / m1)))
    t = 1.96 + 2.37 / (m1 - 1) + 2.82 / (m1 - 1) ** 2
    return math.exp(t * tau * math.sqrt(1 / m1 + 1 / m2))


class Tempering:
    """A block's evidence counts for min(log e * omega / phi, cap)."""

    def __init__(self, robust, sigma=0.15):
        self.robust, self.sigma = robust, sigma
        self.bursts, self.information, self.haar = None, Information(), Haar()
        self.omega = 1.0

    def of(self, block, p1, dt, phi_split=1.0):
        if not self.robust:
            return 1.0, INF
        n1, k1, n2, k2 = block
        if self.bursts is None:
            self.bursts = Bursts(p1 * (n1 + n2) / dt)
        self.omega = self.bursts.share(k1 + k2, dt)
        phi = max(1.0, self.haar.phi(), phi_split, self.information.floor(self.sigma))
        return phi / self.omega, min(0.25 * dt, 3.0)

    def see(self, block, dt):
        if self.robust:
            self.haar.see(block, self.omega)
            self.bursts.see(block[1] + block[3], dt)
            self.information.see(block, self.omega, dt)


# --- whole metrics ---------------------------------------------------------------------------------------

def lin(r, d):
    return {"kind": "lin", "r": r, "d": d}


class ErrorRate:
    """The default margins. Pods: V1's as a list of (name, n, k) per block, V2's as a number."""

    def __init__(self, robust, hold=None):
        self.robust = robust
        self.fail, self.warn = Worse(lin(1.2, 0.0001)), Worse(lin(1.0, 0.0))
        self.hold = Worse(lin(*hold)) if hold else None
        self.passing = NotWorse(lin(1.5, 0.0005))
        self.tempering, self.split, self.interval = Tempering(robust), Haar(), Interval()
        self.en = self.ek = 0.0
        self.pods, self.half, self.pod_bursts = {}, {}, None
        self.phi, self.slack = 1.0, 0.0

    def begin_stage(self):
        for test in (self.fail, self.warn, self.hold, self.passing):
            if test:
                test.begin_stage()

    def see(self, block, dt, pods1=(), m2=0):
        p1 = (self.ek + 0.5) / (self.en + 500)
        widen = pod_margin([tuple(x) for x in self.pods.values()], max(1, m2), self.split.phi()) if self.robust else 1.0
        self.phi, cap = self.tempering.of(block, p1, dt, self.split.phi())
        for test in (self.fail, self.warn, self.hold):
            if test:
                # Equality is widened like the tolerance: a slow node is no worse version.
                test.see(block, p1, dt, self.phi, cap, widen)
        self.passing.see(block, p1, p1, self.phi, cap)
        self.interval.see(block, self.phi)
        self.tempering.see(block, dt)
        self.slack += slack(block, self.phi)
        self.learn(block, dt, pods1)

    def learn(self, block, dt, pods1=()):
        keep = 2 ** (-dt / 600)
        self.en, self.ek = self.en * keep + block[0], self.ek * keep + block[1]
        # One instance's burst is no lasting difference between instances.
        if self.pod_bursts is None:
            self.pod_bursts = Bursts((self.ek + 0.5) / (self.en + 500) * block[0] / dt)
        counts = self.pod_bursts.share(block[1], dt)
        self.pod_bursts.see(block[1], dt)
        halves = [0.0] * 4
        for name, n, k in pods1:
            total = self.pods.setdefault(name, [0.0, 0.0])
            total[0] += n
            total[1] += k * counts
            side = self.half.setdefault(name, len(self.half) % 2)
            halves[2 * side] += n
            halves[2 * side + 1] += k
        self.split.see(halves)


def closes(n1, n2, dt):
    n = min(n1, n2)
    return n >= 10 or (dt >= 60 and n >= 1) or dt >= 300


class Latency:
    """One quantile. Histograms are counts per bucket; the last lies above the last bound."""

    def __init__(self, u, robust, fail=0.5, hold=0.2, passing=0.2):
        self.u, self.tolerances = u, (fail, hold, passing)
        null = {"kind": "eq", "r": 1.0, "d": 0.0}
        self.fail, self.hold, self.warn, self.passing = Worse(null), Worse(null), Worse(null), NotWorse(null)
        self.tempering = Tempering(robust)
        self.slack = 0.0

    def tail_rate(self, history, i):
        return min(0.9, max(0.02 * self.u, (above(history, i) + 0.5) / (sum(history) + 0.5 / self.u)))

    def see(self, bounds, history, v1, v2, dt):
        if sum(history) * self.u < 2:
            return
        t1 = quantile_bound(history, self.u)
        p1, n1, k1, n2 = self.tail_rate(history, t1), sum(v1), above(v1, t1), sum(v2)
        same = (n1, k1, n2, above(v2, t1))
        phi, cap = self.tempering.of(same, p1, dt)
        self.slack += slack(same, phi)
        self.warn.see(same, p1, dt, phi, cap)
        for test, tolerance in ((self.fail, self.tolerances[0]), (self.hold, self.tolerances[1])):
            t2 = rounded_up(bounds, t1, tolerance)
            if t2 is not None:
                test.see((n1, k1, n2, above(v2, t2)), p1, dt, phi, cap)
        t2 = rounded_down(bounds, t1, self.tolerances[2])
        if t2 != t1:
            self.passing.see((n1, k1, n2, above(v2, t2)), p1, min(p1, self.tail_rate(history, t2)), phi, cap)
        self.tempering.see(same, dt)


def above(counts, i):
    return float(sum(counts[i + 1:]))


def quantile_bound(counts, u):
    for i in range(len(counts) - 1):
        if above(counts, i) <= u * sum(counts):
            return i
    return len(counts) - 2


# Bounds are decimal fractions: 1.2 x 0.1 is 0.12 here.
def rounded_up(bounds, i, tolerance):
    fits = [j for j in range(i, len(bounds)) if bounds[j] >= (1 + tolerance) * bounds[i] * (1 - 1e-12)]
    return fits[0] if fits else None


def rounded_down(bounds, i, tolerance):
    return [j for j in range(i, len(bounds)) if j == i or bounds[j] <= (1 + tolerance) * bounds[i] * (1 + 1e-12)][-1]


class Share:
    """Whether V2 gets the share w of the requests: two ONE processes, averaged."""
    THETA = (1.03, 1.1, 1.25, 1.6, 2.5, 6)

    def __init__(self, w, tolerance, stickiness, robust):
        self.w, self.robust = w, robust
        self.many, self.few = (Worse({"kind": "one", "r": 1.0, "d": odds(1 + tolerance, x)}, self.THETA) for x in (w, 1 - w))
        self.haar, self.information = Haar(stickiness), Information()

    def see(self, n1, n2, dt):
        n = n1 + n2
        if n == 0:
            return
        phi, cap = 1.0, INF
        if self.robust:
            phi, cap = max(self.haar.phi(), self.information.floor(0.05)), min(0.25 * dt, 3.0)
        self.many.see((0, 0, n, n2), self.w, dt, phi, cap)
        self.few.see((0, 0, n, n1), 1 - self.w, dt, phi, cap)
        # A request is an event that falls to a side, out of a million chances each at the configured share.
        chances = (1e6 * n * (1 - self.w), n1, 1e6 * n * self.w, n2)
        self.haar.see(chances)
        self.information.see(chances, 1.0, dt)

    def log_m(self):
        return log_sum((self.many.log_m(), self.few.log_m())) - math.log(2)


def gate(metrics, alpha, beta):
    """metrics: (w, log FAIL, log PASS, gates)."""
    weighted = [math.log(w) + f if w > 0 else -INF for w, f, _, _ in metrics]
    average = log_sum(weighted)

    def part(x, limit):
        return min(1.0, max(0.0, x / limit))
    scores = [50 + 50 * part(p, math.log(1 / beta)) - 50 * part(x, math.log(1 / alpha)) for x, (_, _, p, _) in zip(weighted, metrics)]
    gating = [i for i, m in enumerate(metrics) if m[3]]
    fail = average >= math.log(1 / alpha)
    passes = bool(gating) and all(metrics[i][2] >= math.log(1 / beta) for i in gating)
    score = min(scores[i] for i in gating) if gating else 50.0
    return {"log_average": average, "fail": fail, "pass": passes, "scores": scores, "score": 0.0 if fail else score,
            "alone": [proven_alone(metrics, m, alpha) for m in range(len(metrics))]}


def proven_alone(metrics, m, alpha):
    """Closed testing by its definition: every set of metrics that holds m is worse than tolerated."""
    if metrics[m][0] <= 0:
        return False
    others = [i for i in range(len(metrics)) if i != m]
    for size in range(len(others) + 1):
        for some in itertools.combinations(others, size):
            chosen = [metrics[i] for i in (m,) + some]
            if math.fsum(w * math.exp(f) for w, f, _, _ in chosen) < math.fsum(w for w, _, _, _ in chosen) / alpha:
                return False
    return True


# --- random cases ----------------------------------------------------------------------------------------

rng = random.Random()


def wide(low, high):
    """Anything between, on the log scale."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def requests(most=1e9):
    return float(round(wide(1, most)))


def rate():
    return rng.choice([wide(1e-6, 0.9), wide(1e-4, 0.1), wide(1e-3, 0.05)])


def events(n, p):
    """About n p of n; now and then none or all."""
    luck = rng.random()
    if luck < 0.08:
        return 0.0
    if luck < 0.11:
        return float(n)
    return float(min(n, max(0, round(rng.gauss(n * p, math.sqrt(max(0.3, n * p * (1 - p))))))))


def seconds():
    return rng.choice([1.0, 5.0, 15.0, 60.0, wide(1e-3, 1e4)])


def margin():
    return lin(rng.choice([1.0, 1.2, 1.5, wide(1, 5)]), rng.choice([0.0, 1e-4, 5e-4, wide(1e-7, 0.05)]))


def any_null():
    return rng.choice([margin(), margin(), {"kind": "eq", "r": 1.0, "d": 0.0}, {"kind": "one", "r": 1.0, "d": wide(1e-5, 0.3)}])


class Traffic:
    """Blocks of two versions that share a size and a kind of trouble."""

    def __init__(self, most=1e9):
        self.n1, self.n2 = requests(most), requests(most)
        self.q1 = rate()
        self.q2 = min(1.0, self.q1 * rng.choice([1, 1, 0.5, 2, 10]))
        self.onset, self.clumps = rng.randrange(30), rng.random() < 0.3

    def block(self, i):
        n1, n2 = (float(max(0, round(n * rng.uniform(0.5, 1.5)))) for n in (self.n1, self.n2))
        storm = rng.choice([1, 1, 1, 5]) if self.clumps else 1
        return [n1, events(n1, min(1, self.q1 * storm)), n2, events(n2, min(1, (self.q2 if i >= self.onset else self.q1) * storm))]


def case_block():
    null = any_null()
    block = Traffic().block(0)
    if null["kind"] == "one":
        block[:2] = 0.0, 0.0
    p1 = rate()
    p2 = min(0.98, odds(rng.choice(Worse.THETA + (0.3, 0.8)), boundary(null, p1)))
    return {"null": null, "block": block, "p1": p1, "p2": p2, "slack": slack(block), "log_e": exact_log_e(null, block, p1, p2)}


def case_worse():
    null, traffic = any_null(), Traffic()
    test, rows, expect, loss = Worse(null), [], [], 0.0
    phi, cap = rng.choice([1.0, wide(1, 50)]), rng.choice([INF, 3.0, wide(0.01, 10)])
    for i in range(rng.randrange(1, 40)):
        row = {"block": traffic.block(i), "p1": rate() if rng.random() < 0.1 else (traffic.q1 + 1e-6) / 1.1, "dt": seconds(),
               "stage": rng.random() < 0.1, "widen": rng.choice([1.0, 1.0, wide(1, 4)])}
        if row["stage"]:
            test.begin_stage()
        test.see(row["block"], row["p1"], row["dt"], phi, cap, row["widen"])
        loss += slack(row["block"], phi)
        rows.append(row)
        expect.append([test.log_m(), loss])
    return {"null": null, "phi": phi, "cap": None if math.isinf(cap) else cap, "rows": rows, "expect": expect}


def case_pass():
    null, traffic = any_null(), Traffic()
    test, rows, expect, loss = NotWorse(null), [], [], 0.0
    phi, cap = rng.choice([1.0, wide(1, 50)]), rng.choice([INF, 3.0])
    for i in range(rng.randrange(1, 40)):
        p1 = (traffic.q1 + 1e-6) / 1.1
        row = {"block": traffic.block(i), "p1": p1, "equal": p1 * rng.choice([1.0, 0.8, 0.1]), "stage": rng.random() < 0.1}
        if null["kind"] == "one":
            row["equal"] = min(row["equal"], null["d"])
        if row["stage"]:
            test.begin_stage()
        test.see(row["block"], p1, row["equal"], phi, cap)
        loss += slack(row["block"], phi)
        rows.append(row)
        expect.append([test.log_m(), loss])
    return {"null": null, "phi": phi, "cap": None if math.isinf(cap) else cap, "rows": rows, "expect": expect}


def finite(x):
    return None if math.isinf(x) else x


def case_interval():
    traffic, test = Traffic(), Interval()
    phi = rng.choice([1.0, wide(1, 50)])
    blocks = [traffic.block(i) for i in range(rng.randrange(1, 30))]
    for block in blocks:
        test.see(block, phi)
    if not test.is_clear():
        return None
    low, high = test.bounds()
    return {"blocks": blocks, "phi": phi, "low": low, "high": finite(high)}


def case_bursts():
    test = Bursts(rng.choice([0.0, wide(1e-6, 1e6)]))
    out = {"usual": test.usual, "rows": [], "expect": []}
    for _ in range(rng.randrange(1, 40)):
        k, dt = rng.choice([0.0, requests(1e6), float(rng.randrange(5))]), seconds()
        out["rows"].append([k, dt])
        share = test.share(k, dt)
        test.see(k, dt)
        out["expect"].append([share, test.usual])
    return out


def case_haar():
    traffic, test = Traffic(1e6), Haar(rng.choice([1.0, 1.0, 10.0]))
    out = {"prior": test.prior, "rows": [], "expect": []}
    for i in range(rng.randrange(1, 200)):
        block, share = traffic.block(i), rng.choice([1.0, rng.uniform(0.1, 1)])
        test.see(block, share)
        out["rows"].append([block, share])
        out["expect"].append(test.phi())
    return out


def case_noise():
    traffic, floor, learned = Traffic(1e7), Information(), Noise()
    out = {"rows": [], "expect": []}
    for i in range(rng.randrange(1, 150)):
        block, dt, share = traffic.block(i), rng.choice([5.0, 15.0, 60.0, wide(1, 300)]), rng.choice([1.0, rng.uniform(0.1, 1)])
        floor.see(block, share, dt)
        learned.see(block, dt)
        out["rows"].append([block, dt, share])
        out["expect"].append([floor.v, learned.sigma()])
    return out


def case_pods():
    p = rate()
    pods = []
    for _ in range(rng.randrange(1, 12)):
        n = rng.choice([0.0, requests(1e7), requests(1e7)])
        pods.append([n, events(n, min(1.0, p * wide(0.5, 2)))])
    m2, phi = rng.randrange(0, 6), rng.choice([1.0, wide(1, 10)])
    return {"pods": pods, "m2": m2, "phi": phi, "margin": pod_margin([tuple(x) for x in pods], m2, phi)}


def split_over(names, n, k):
    """A version's counts over its pods, unevenly; whole numbers."""
    out = []
    for i, name in enumerate(names):
        last = i + 1 == len(names)
        ni = n if last else float(round(n / (len(names) - i) * rng.uniform(0.7, 1)))
        ki = k if last else min(ni, k, float(round(k / (len(names) - i) * rng.uniform(0, 2))))
        ki = max(ki, k - (n - ni))
        out.append([name, ni, ki])
        n, k = n - ni, k - ki
    return out


def case_error_metric():
    robust = rng.random() < 0.7
    hold = rng.choice([None, None, (1.1, 0.0)])
    traffic = Traffic(rng.choice([30, 1e3, 1e6, 1e9]))
    metric = ErrorRate(robust, hold)
    names = ["v1-%d" % i for i in range(rng.choice([0, 0, 1, 2, 5]))]
    out = {"robust": robust, "hold": hold, "history": None, "m2": rng.randrange(4), "rows": [], "expect": []}
    if rng.random() < 0.5:
        n = requests()
        out["history"] = [n, events(n, traffic.q1), wide(1, 3600)]
        metric.learn(out["history"][:2] + [0.0, 0.0], out["history"][2])
    opened, opened_pods, length = [0.0] * 4, {}, 0.0
    dt = seconds()
    for i in range(rng.randrange(1, 60)):
        block = traffic.block(i)
        pods = split_over(names, block[0], block[1])
        row = {"block": block, "dt": dt if rng.random() < 0.8 else seconds(), "pods": pods, "stage": rng.random() < 0.03}
        out["rows"].append(row)
        if row["stage"]:
            metric.begin_stage()
        opened, length = [x + y for x, y in zip(opened, block)], length + row["dt"]
        for name, n, k in pods:
            so_far = opened_pods.setdefault(name, [0.0, 0.0])
            so_far[0] += n
            so_far[1] += k
        if not closes(opened[0], opened[2], length):
            out["expect"].append(None)
            continue
        metric.see(opened, length, [(name, n, k) for name, (n, k) in opened_pods.items()], out["m2"])
        opened, opened_pods, length = [0.0] * 4, {}, 0.0
        seen = {"fail": metric.fail.log_m(), "warn": metric.warn.log_m(), "pass": metric.passing.log_m(), "phi": metric.phi,
                "slack": metric.slack}
        if hold:
            seen["hold"] = metric.hold.log_m()
        if metric.interval.is_clear():
            low, high = metric.interval.bounds()
            seen.update(low=low, high=finite(high))
        out["expect"].append(seen)
    return out


def histogram(bounds, n, middle, spread):
    """n requests whose times are lognormal, in whole numbers."""
    def below(x):
        return 0.5 * math.erfc(-math.log(x / middle) / spread / math.sqrt(2))
    shares = [below(b) for b in bounds] + [1.0]
    return [float(round(n * (s - (shares[i - 1] if i else 0.0)) * rng.uniform(0.8, 1.2))) for i, s in enumerate(shares)]


def some_bounds():
    if rng.random() < 0.3:
        return [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]
    return [wide(1e-3, 2e-2)] if rng.random() < 0.05 else [0.002 * 1.08**i for i in range(rng.randrange(20, 90))]


def case_thresholds():
    bounds = some_bounds()
    counts = histogram(bounds, requests(), wide(0.003, 0.5), rng.uniform(0.2, 1))
    u, tolerance = rng.choice([0.5, 0.05, 0.01, 0.001]), rng.choice([0.2, 0.5, 0.08, wide(0.01, 2)])
    if sum(counts) == 0:
        return None
    i = quantile_bound(counts, u)
    up, down = rounded_up(bounds, i, tolerance), rounded_down(bounds, i, tolerance)
    return {"bounds": bounds, "counts": counts, "u": u, "tolerance": tolerance, "t1": i, "above": above(counts, i), "up": up,
            "down": down}


def case_latency():
    bounds, quantile, robust = some_bounds(), rng.choice([0.5, 0.95, 0.99]), rng.random() < 0.7
    metric = Latency(1 - quantile, robust)
    middle, spread, slower = wide(0.005, 0.3), rng.uniform(0.2, 1), rng.choice([1, 1, 1.1, 1.5, 3])
    n1, n2 = requests(1e8), requests(1e8)
    out = {"bounds": bounds, "quantile": quantile, "robust": robust, "rows": [], "expect": []}
    for _ in range(rng.randrange(1, 15)):
        row = [histogram(bounds, 10 * n1, middle, spread), histogram(bounds, n1, middle, spread),
               histogram(bounds, n2, middle * slower, spread), seconds()]
        metric.see(bounds, *row)
        out["rows"].append(row)
        out["expect"].append([t.log_m() for t in (metric.fail, metric.hold, metric.warn, metric.passing)] + [metric.slack])
    return out


def case_share():
    w, tolerance, robust = rng.choice([0.01, 0.05, 0.25, 0.5]), rng.choice([0.1, 0.3]), rng.random() < 0.7
    stickiness = rng.choice([1.0, 10.0])
    test = Share(w, tolerance, stickiness, robust)
    out = {"w": w, "tolerance": tolerance, "stickiness": stickiness, "robust": robust, "rows": [], "expect": []}
    n, real, loss = requests(1e8), w * rng.choice([1, 1, 0.6, 1.3]), 0.0
    for _ in range(rng.randrange(1, 40)):
        total = float(round(n * rng.uniform(0.5, 1.5)))
        n2 = events(total, real)
        dt = seconds()
        test.see(total - n2, n2, dt)
        loss += 2 * slack((0, 0, total, 0))
        out["rows"].append([total - n2, n2, dt])
        out["expect"].append([test.log_m(), loss])
    return out


def case_gate():
    count = rng.randrange(1, 8)
    raw = [rng.choice([0.0, rng.random(), rng.random()]) for _ in range(count)]
    weights = [x / sum(raw) for x in raw] if sum(raw) > 0 else [1.0] + [0.0] * (count - 1)
    metrics = [[w, rng.choice([rng.uniform(-8, 12), rng.uniform(3, 8), rng.uniform(-700, 690)]), rng.uniform(-5, 10), rng.random() < 0.7]
               for w in weights]
    alpha, beta = rng.choice([0.01, 0.05, wide(1e-4, 0.3)]), rng.choice([0.05, wide(1e-4, 0.3)])
    return {"metrics": metrics, "alpha": alpha, "beta": beta, "expect": gate(metrics, alpha, beta)}


KINDS = {"block": (case_block, 6), "worse": (case_worse, 3), "pass": (case_pass, 2), "interval": (case_interval, 2),
         "bursts": (case_bursts, 1), "haar": (case_haar, 2), "noise": (case_noise, 1), "pods": (case_pods, 1),
         "error_metric": (case_error_metric, 3), "thresholds": (case_thresholds, 1), "latency": (case_latency, 2),
         "share": (case_share, 1), "gate": (case_gate, 3)}


def main():
    if len(sys.argv) != 3 or not sys.argv[1].isdigit():
        sys.exit("usage: oracle.py N SEED")
    rng.seed(sys.argv[2])
    bag = [kind for kind, (_, weight) in KINDS.items() for _ in range(weight)]
    print('{"seed": %s, "cases": [' % json.dumps(sys.argv[2]))
    made = 0
    while made < int(sys.argv[1]):
        kind = bag[made % len(bag)]
        case = KINDS[kind][0]()
        if case is None:  # rounding would decide it
            continue
        print((",\n" if made else "") + json.dumps({"kind": kind, "number": made, **case}, allow_nan=False), end="")
        made += 1
    print("\n]}")


main()
