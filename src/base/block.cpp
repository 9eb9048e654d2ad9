// State of the contracts in davy/block.h.

#include "davy/block.h"

#include "base/archive.h"

namespace davy {

void archive(Archive& a, PodCounts& pod) {
  a(pod.id, pod.requests, pod.errors, pod.restarts, pod.age, pod.latency);
}

void archive(Archive& a, Value& value) {
  a(value.name, value.value);
}

void archive(Archive& a, VersionCounts& v) {
  a(v.requests, v.errors, v.latency, v.pods, v.values);
}

void archive(Archive& a, Histogram& h) {
  a(h.bounds, h.counts);
}

void archive(Archive& a, Block& b) {
  a(b.t, b.dt, b.weight, b.baseline, b.canary);
}

}  // namespace davy
