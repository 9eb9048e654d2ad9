// OpenSSL's own test server on a free loopback port, with a fresh certificate.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lab/process.h"

namespace davy::lab {

struct TlsServer {
  /// `name` as in a subjectAltName: "DNS:shop.test,IP:127.0.0.1". `days` it lasts from now, or,
  /// with `begins` and `ends` (YYYYMMDDHHMMSSZ), exactly so long. Throws when it does not start.
  explicit TlsServer(const std::string& name, int days = 2, const std::string& begins = "",
                     const std::string& ends = "", const std::vector<std::string>& how = {"-www"});
  /// Serves the files of `dir`, which hold whole answers with their heads. With `client_ca` only to
  /// clients that have a certificate of it.
  static TlsServer of_files(const std::string& name, const std::string& client_ca = "");

  std::string url(const std::string& host, const std::string& file = "") const {
    return "https://" + host + ":" + std::to_string(port) + "/" + file;
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port); }

  TempDir dir;  // holds "cert" and "key"
  int port;
  std::optional<Process> process;
};

/// Makes "cert" and "key" in the directory, signed by themselves.
void make_certificate(const TempDir& dir, const std::string& name);

}  // namespace davy::lab
