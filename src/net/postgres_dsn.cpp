#include "net/postgres_dsn.h"

#include <cctype>
#include <optional>

#include "base/text.h"
#include "net/socket.h"
#include "net/uri.h"

namespace davy::net {
namespace {

constexpr const char* kExample =
    "not a PostgreSQL connection string (try postgresql://user@host/database or \"host=db "
    "user=app\"): it ";

Error wrong(const std::string& why) {
  return Error{kExample + why};
}

bool is_space(char c) {
  return std::isspace(static_cast<unsigned char>(c)) != 0;
}

/// PostgreSQL manual, 34.1.1.2:
/// postgresql://[user[:password]@][host][:port][/dbname][?keyword=value&...]
Result<PostgresDsn> parse_uri_form(std::string_view text) {
  Result<Uri> uri = parse_uri(text);
  if (!uri) return wrong(uri.error().what);
  PostgresDsn dsn;
  auto set = [&](const std::string& keyword, std::string value) {
    if (!value.empty()) dsn.settings[keyword] = std::move(value);
  };
  set("user", uri->user.value_or(""));
  set("password", uri->password.value_or(""));
  set("host", uri->host);
  if (uri->port != 0) set("port", std::to_string(uri->port));
  if (!uri->path.empty()) {
    std::optional<std::string> name = percent_decoded(std::string_view(uri->path).substr(1));
    if (!name) return wrong("has a database whose % is not followed by two hexadecimal digits");
    set("dbname", *name);
  }
  if (uri->query.empty()) return dsn;
  for (std::string_view pair : text::split(uri->query, '&')) {
    std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) return wrong("has a setting without a = after the ?");
    std::optional<std::string> keyword = percent_decoded(pair.substr(0, equals));
    std::optional<std::string> value = percent_decoded(pair.substr(equals + 1));
    if (!keyword || !value)
      return wrong("has a setting whose % is not followed by two hexadecimal digits");
    if (*keyword == "ssl" && *value == "true") {  // as JDBC writes it, and libpq reads it
      dsn.settings["sslmode"] = "require";
    } else {
      dsn.settings[*keyword] = *value;
    }
  }
  return dsn;
}

/// PostgreSQL manual, 34.1.1.1: keyword = value, values with spaces in single quotes, \ escapes.
Result<PostgresDsn> parse_keyword_form(std::string_view rest) {
  PostgresDsn dsn;
  auto skip_spaces = [&] {
    while (!rest.empty() && is_space(rest.front())) rest.remove_prefix(1);
  };
  for (skip_spaces(); !rest.empty(); skip_spaces()) {
    std::size_t end = 0;
    while (end < rest.size() && rest[end] != '=' && !is_space(rest[end])) ++end;
    std::string keyword(rest.substr(0, end));
    rest.remove_prefix(end);
    skip_spaces();
    if (keyword.empty() || rest.empty() || rest.front() != '=')
      return wrong("has a word without a = after it");
    rest.remove_prefix(1);
    skip_spaces();

    bool is_quoted = !rest.empty() && rest.front() == '\'';
    if (is_quoted) rest.remove_prefix(1);
    std::string value;
    while (!rest.empty() && (is_quoted ? rest.front() != '\'' : !is_space(rest.front()))) {
      if (rest.front() == '\\' && rest.size() > 1) rest.remove_prefix(1);
      value += rest.front();
      rest.remove_prefix(1);
    }
    if (is_quoted) {
      if (rest.empty()) return wrong("has a quote that does not end");
      rest.remove_prefix(1);
    }
    dsn.settings[keyword] = value;
  }
  if (dsn.settings.empty()) return wrong("is empty");
  return dsn;
}

}  // namespace

std::string PostgresDsn::get(const std::string& keyword) const {
  auto found = settings.find(keyword);
  return found == settings.end() ? "" : found->second;
}

bool PostgresDsn::is_tcp() const {
  if (has("hostaddr")) return true;
  std::string host = get("host");
  return !host.empty() && host.front() != '/' && host.front() != '@';
}

std::string PostgresDsn::where() const {
  std::string host = has("host") ? get("host") : get("hostaddr");
  if (host.empty()) host = "local socket";
  std::string port = has("port") ? get("port") : "5432";
  std::optional<int> number = parse_port(port);
  std::string at = is_tcp() && number ? Endpoint{host, *number}.text() : host + ":" + port;
  return has("dbname") ? at + "/" + get("dbname") : at;
}

std::string PostgresDsn::conninfo() const {
  std::string out;
  for (const auto& [keyword, value] : settings) {
    if (!out.empty()) out += ' ';
    out += keyword + "='";
    for (char c : value) {
      if (c == '\'' || c == '\\') out += '\\';
      out += c;
    }
    out += '\'';
  }
  return out;
}

Result<PostgresDsn> parse_postgres_dsn(std::string_view text) {
  bool is_uri = text.substr(0, 13) == "postgresql://" || text.substr(0, 11) == "postgres://";
  if (!is_uri && text.substr(0, text.find_first_of("=' ")).find("://") != std::string_view::npos) {
    return wrong("starts with another scheme than postgresql:// or postgres://");
  }
  Result<PostgresDsn> dsn = is_uri ? parse_uri_form(text) : parse_keyword_form(text);
  if (!dsn) return dsn;
  for (const char* keyword : {"host", "hostaddr", "port"}) {
    if (dsn->get(keyword).find(',') != std::string::npos) {
      return wrong("names several hosts, but one is asked (make a check for each host)");
    }
  }
  if (dsn->has("port") && !parse_port(dsn->get("port")))
    return wrong("has a port that is not a number from 1 to 65535");
  for (const auto& [keyword, value] : dsn->settings) {
    if (value.find('\0') != std::string::npos) return wrong("holds a NUL byte");
  }
  return dsn;
}

}  // namespace davy::net
