#include "sources/targets/access.h"

#include <fmt/format.h>
#include <algorithm>

#include "base/text.h"
#include "net/authorization.h"

namespace davy::source {
namespace {

constexpr std::size_t kLargestFile = 1 << 20;

Error at(const char* setting, const Error& error) {
  return Error{error.what, setting};
}

/// "Name: value"
Result<Access::Headers> read_headers(const Options& options) {
  Access::Headers headers;
  if (!options.has("headers")) return headers;
  for (const std::string& line : options.list("headers")) {
    std::size_t colon = line.find(':');
    std::string_view name = text::trim(std::string_view(line).substr(0, colon));
    if (colon == std::string::npos || name.empty())
      return Error{"has a line that is not a header (try \"Name: value\")", "headers"};
    headers.emplace_back(name, text::trim(std::string_view(line).substr(colon + 1)));
  }
  return headers;
}

/// Adds the header for whichever of the ways to say who we are is used.
Result<Done> add_authorization(const Options& options, Access::Headers& headers) {
  constexpr const char* kWays[] = {"username", "bearer_token", "bearer_token_file"};
  std::string first =
      std::any_of(headers.begin(), headers.end(),
                  [](const auto& header) {
                    return text::equals_ignoring_case(header.first, "Authorization");
                  })
          ? "the header Authorization"
          : "";
  for (const char* way : kWays) {
    if (!options.has(way)) continue;
    if (!first.empty())
      return Error{fmt::format("stands beside {} (one way to say who davy is)", first), way};
    first = way;
  }
  if (options.has("password") && !options.has("username"))
    return Error{"needs a username beside it", "password"};
  if (options.has("username")) {
    Result<std::string> basic =
        net::basic_authorization(options.text("username"), options.text_or("password"));
    if (!basic) return at("username", basic.error());
    headers.emplace_back("Authorization", *basic);
  } else if (options.has("bearer_token")) {
    Result<std::string> bearer = net::bearer_authorization(options.text("bearer_token"));
    if (!bearer) return at("bearer_token", bearer.error());
    headers.emplace_back("Authorization", *bearer);
  }
  return Done{};
}

std::vector<std::string> without_empty(std::vector<std::string> texts) {
  std::erase(texts, "");
  return texts;
}

}  // namespace

std::vector<OptionSpec> Access::options() {
  return {
      {"username", OptionType::Text, kOptional, "", "for basic authentication"},
      {"password", OptionType::Secret, kOptional, "", "with username"},
      {"bearer_token", OptionType::Secret, kOptional, "", "a token to show instead"},
      {"bearer_token_file", OptionType::Path, kOptional, "",
       "or a file with one, read again when it changes"},
      {"headers", OptionType::TextList, kOptional, "",
       "more headers to send: a list of \"Name: value\""},
      {"verify_tls", OptionType::Flag, kOptional, "true", "whether certificates must be trusted"},
      {"ca_file", OptionType::Path, kOptional, "",
       "the authorities to trust, as PEM, instead of the system's"},
      {"cert_file", OptionType::Path, kOptional, "", "our own certificate, for mTLS"},
      {"key_file", OptionType::Path, kOptional, "",
       "its key; the three files are read again when they change"},
      {"server_name", OptionType::Text, kOptional, "",
       "the name that certificates must hold, when it is not the URL's host"}};
}

Result<Access> Access::make(const Options& options) {
  Result<Headers> headers = read_headers(options);
  if (!headers) return headers.error();
  if (auto done = add_authorization(options, *headers); !done) return done.error();
  net::TlsSettings tls;
  tls.verify =
      options.flag("verify_tls") ? net::TlsSettings::Verify::Yes : net::TlsSettings::Verify::No;
  tls.ca_file = options.text_or("ca_file");
  tls.cert_file = options.text_or("cert_file");
  tls.key_file = options.text_or("key_file");
  if (tls.cert_file.empty() != tls.key_file.empty())
    return Error{"cert_file and key_file belong together", "cert_file"};
  return Access(std::move(*headers), options.text_or("bearer_token_file"), std::move(tls),
                options.text_or("server_name"));
}

Access::Access(Headers headers, std::string token_file, net::TlsSettings tls,
               std::string server_name)
    : headers_(std::move(headers)),
      token_file_(std::move(token_file)),
      tls_(std::move(tls)),
      server_name_(std::move(server_name)),
      files_(without_empty({token_file_, tls_.ca_file, tls_.cert_file, tls_.key_file}),
             kLargestFile) {}

void Access::refresh(Workers& workers, net::Means& net, Deadline deadline) {
  files_.look(workers, net, deadline);
  troubles_ = files_.troubles();
  for (const auto& [path, file] : files_.files()) {
    if (!file.trouble.empty()) troubles_.push_back(file.trouble);
  }
  if (!token_file_.empty()) take_token();
  bool has_files = !tls_.ca_file.empty() || !tls_.cert_file.empty();
  if (has_files) take_tls();
}

void Access::take_token() {
  auto file = files_.files().find(token_file_);
  if (file == files_.files().end() || !file->second.text) return;
  Result<std::string> token = net::bearer_authorization(*file->second.text);
  if (token) {
    token_ = std::move(*token);
  } else {
    troubles_.push_back(token_file_ + ": " + token.error().what);
  }
}

/// The three files belong together: none is used before all have been read.
void Access::take_tls() {
  std::string seen;
  for (const std::string* path : {&tls_.ca_file, &tls_.cert_file, &tls_.key_file}) {
    if (path->empty()) continue;
    auto file = files_.files().find(*path);
    if (file == files_.files().end() || !file->second.text) return;
    seen += fmt::format("{} ", file->second.version);
  }
  auto text_of = [&](const std::string& path) {
    return path.empty() ? std::string() : *files_.files().at(path).text;
  };
  if (seen != tls_seen_) {
    net::TlsSettings settings = tls_;
    settings.ca_pem = text_of(tls_.ca_file);
    settings.cert_pem = text_of(tls_.cert_file);
    settings.key_pem = text_of(tls_.key_file);
    tried_ = std::make_shared<const net::TlsContext>(settings);
    tls_seen_ = std::move(seen);
    if (tried_->trouble().empty()) {
      context_ = tried_;
      ++generation_;
    }
  }
  if (!tried_->trouble().empty()) troubles_.push_back(tried_->trouble());
}

Result<Access::Headers> Access::headers() const {
  if (token_file_.empty()) return headers_;
  if (token_.empty()) return Error{"not asked, as there is no token to show: " + why()};
  Headers all = headers_;
  all.emplace_back("Authorization", token_);
  return all;
}

Result<std::shared_ptr<const net::TlsContext>> Access::tls() {
  bool has_files = !tls_.ca_file.empty() || !tls_.cert_file.empty();
  if (context_ == nullptr && !has_files) context_ = std::make_shared<const net::TlsContext>(tls_);
  if (context_ == nullptr) return Error{"not asked, as TLS cannot start: " + why()};
  return context_;
}

std::string Access::why() const {
  return troubles_.empty() ? "its files have not been read yet" : text::join(troubles_, "; ");
}

}  // namespace davy::source
