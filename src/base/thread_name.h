// Names the calling thread, as ps -L and top -H show it (15 characters at most).
#pragma once

#include <pthread.h>
#include <string>

namespace davy {

inline void name_this_thread(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
}

}  // namespace davy
