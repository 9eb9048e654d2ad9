#include "net/resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <system_error>

#include "base/text.h"

namespace davy::net {
bool is_numeric_address(const std::string& host) {
  in6_addr unused{};
  return inet_pton(AF_INET, host.c_str(), &unused) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &unused) == 1;
}

Result<std::vector<std::string>> Resolver::resolve(const std::string& host, Deadline) {
  if (is_numeric_address(host)) return std::vector<std::string>{host};

  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int code = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (code != 0) {
    std::string why = code == EAI_SYSTEM ? std::system_category().message(errno)
                                         : std::string(gai_strerror(code));
    return Error{"cannot resolve " + text::quoted(host) + ": " + why};
  }
  std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);

  std::vector<std::string> addresses;
  for (const addrinfo* a = found; a != nullptr; a = a->ai_next) {
    char numeric[NI_MAXHOST];
    if (getnameinfo(a->ai_addr, a->ai_addrlen, numeric, sizeof numeric, nullptr, 0,
                    NI_NUMERICHOST) != 0) {
      continue;
    }
    if (std::find(addresses.begin(), addresses.end(), numeric) == addresses.end()) {
      addresses.emplace_back(numeric);
    }
  }
  if (addresses.empty()) return Error{"cannot resolve " + text::quoted(host) + ": no addresses"};
  return addresses;
}

}  // namespace davy::net
