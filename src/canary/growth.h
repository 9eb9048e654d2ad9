// How fast evidence would grow if rates stayed as they are; the basis of "about 6 more minutes".
#pragma once

namespace davy::canary {

struct Growth {
  double pass = 0;  // nats per second
  double fail = 0;
};

}  // namespace davy::canary
