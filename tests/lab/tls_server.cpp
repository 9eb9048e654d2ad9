#include "lab/tls_server.h"

#include <stdexcept>

#include "net/means.h"
#include "net/socket.h"

namespace davy::lab {
namespace {

void must(const Command& command) {
  Finished made = run(command);
  if (made.code != 0) throw std::runtime_error(command.argv[1] + ": " + made.output);
}

}  // namespace

void make_certificate(const TempDir& dir, const std::string& name) {
  must({{"openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", dir / "key", "-subj", "/CN=" + name, "-x509", "-out", dir / "cert", "-days",
         "2"}});
}

TlsServer TlsServer::of_files(const std::string& name, const std::string& client_ca) {
  std::vector<std::string> how = {"-HTTP"};
  if (!client_ca.empty())
    how.insert(how.end(), {"-Verify", "1", "-verify_return_error", "-CAfile", client_ca});
  return TlsServer(name, 2, "", "", how);
}

TlsServer::TlsServer(const std::string& name, int days, const std::string& begins,
                     const std::string& ends, const std::vector<std::string>& how)
    : port(free_port()) {
  std::vector<std::string> key = {
      "openssl", "req",     "-newkey",   "ec",    "-pkeyopt", "ec_paramgen_curve:P-256",
      "-nodes",  "-keyout", dir / "key", "-subj", "/CN=lab"};
  if (begins.empty()) {
    key.insert(key.end(), {"-x509", "-out", dir / "cert", "-days", std::to_string(days), "-addext",
                           "subjectAltName=" + name});
    must({key});
  } else {
    // Only `openssl ca` takes dates; it wants a small world of its own.
    key.insert(key.end(), {"-out", dir / "request"});
    must({key});
    write_file(dir / "index", "");
    write_file(dir / "serial", "01\n");
    write_file(dir / "ca.cnf",
               "[ca]\ndefault_ca=d\n[d]\ndatabase=" + (dir / "index") +
                   "\nserial=" + (dir / "serial") + "\nnew_certs_dir=" + dir.path() +
                   "\ndefault_md=sha256\npolicy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n" +
                   "[e]\nsubjectAltName=" + name + "\n");
    must({{"openssl", "ca", "-config", dir / "ca.cnf", "-selfsign", "-batch", "-notext", "-in",
           dir / "request", "-keyfile", dir / "key", "-out", dir / "cert", "-startdate", begins,
           "-enddate", ends}});
  }
  Command command{{"openssl", "s_server", "-quiet", "-accept", address(), "-key", dir / "key",
                   "-cert", dir / "cert"}};
  command.argv.insert(command.argv.end(), how.begin(), how.end());
  command.directory = dir.path();
  process.emplace(command);
  net::Means means;
  bool is_up = eventually([&] {
    return std::holds_alternative<net::Socket>(
        net::connect_tcp({"127.0.0.1", port}, {Deadline::in(std::chrono::seconds(1)), means}));
  });
  if (!is_up) throw std::runtime_error("openssl s_server does not answer: " + process->output());
}

}  // namespace davy::lab
