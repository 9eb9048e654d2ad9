// Exchange publisher: counts at the ends of slots, and gets each block into the stream once.
//
// Slots are the same for all instances: multiples of `every` on the exchange's clock. So the blocks
// of all cover the same spans, and a judge can merge them. Before the first answer of Redis nobody
// knows that clock, and nothing is counted.
// Each time it sends, it first looks whether the stream still has what it acknowledged over an
// earlier connection, and adds again what is gone: Redis may have come back empty, or a failover
// may have lost the last writes. What a full stream cut off is not added again.
// Threading, failure: see davy/publisher.h.
#pragma once

#include "davy/publisher.h"

namespace davy::source {

extern const PublisherKind redis_publisher;

/// Where the blocks of a deployment are, when the config does not say.
std::string default_stream(std::string_view deployment);

}  // namespace davy::source
