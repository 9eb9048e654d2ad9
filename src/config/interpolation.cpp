#include "config/interpolation.h"

#include <fmt/format.h>
#include <cstdlib>
#include <fstream>

#include "base/text.h"
#include "davy/result.h"

namespace davy::config {
namespace {

constexpr std::size_t kMaxSecret = 64 << 10;

bool is_variable_name(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return name.find_first_not_of(
             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") ==
         std::string_view::npos;
}

Result<std::string> content_of(const std::string& path) {
  if (path.empty() || path[0] != '/') {
    return Error{fmt::format(
        "${{file:{}}} is not an absolute path (try ${{file:/run/secrets/name}})", path)};
  }
  Error unreadable{fmt::format(
      "${{file:{}}} cannot be read (it must be a file that davy's user may read)", path)};
  try {
    std::ifstream in(path, std::ios::binary);
    std::string content(kMaxSecret + 1, '\0');
    if (!in || (in.read(content.data(), static_cast<std::streamsize>(content.size())), in.bad()))
      return unreadable;
    content.resize(static_cast<std::size_t>(in.gcount()));
    if (content.size() > kMaxSecret)
      return Error{fmt::format("${{file:{}}} is larger than 64 KiB (a secret is a line)", path)};
    if (content.ends_with('\n')) content.pop_back();
    if (content.ends_with('\r')) content.pop_back();
    return content;
  } catch (const std::ios_base::failure&) {  // libstdc++ says so of a folder
    return unreadable;
  }
}

/// What stands for the inside of one ${...}.
Result<std::string> value_of(std::string_view inside) {
  constexpr std::string_view kFile = "file:";
  if (inside.starts_with(kFile)) return content_of(std::string(inside.substr(kFile.size())));

  std::size_t split = inside.find(":-");
  std::string name(inside.substr(0, split));
  if (!is_variable_name(name)) {
    return Error{
        fmt::format("${{{}}} names no variable (try ${{NAME}}, ${{NAME:-default}}, "
                    "${{file:/path}}, or $${{ for a plain ${{)",
                    inside)};
  }
  const char* value = std::getenv(name.c_str());
  if (split != std::string_view::npos) {
    bool is_set = value != nullptr && *value != '\0';
    return is_set ? std::string(value) : std::string(inside.substr(split + 2));
  }
  if (value == nullptr) {
    return Error{fmt::format(
        "the environment variable {0} is not set (set it, or write ${{{0}:-default}})", name)};
  }
  return std::string(value);
}

void interpolate_scalar(Node& node, Problems& problems) {
  auto problem = [&](const std::string& what) {
    problems.add(node.line, what);
    node.is_broken = true;
  };
  std::string_view rest = node.written;
  std::string out;
  while (true) {
    std::size_t at = rest.find("${");
    if (at == std::string_view::npos) break;
    if (at > 0 && rest[at - 1] == '$') {
      out += rest.substr(0, at - 1);
      out += "${";
      rest.remove_prefix(at + 2);
      continue;
    }
    std::size_t end = rest.find('}', at);
    if (end == std::string_view::npos) {
      problem("a ${ without its } (close it, or write $${ for a plain ${)");
      return;
    }
    std::string_view inside = rest.substr(at + 2, end - at - 2);
    if (inside.find("${") != std::string_view::npos) {
      problem("a ${ inside of a ${ (one variable with a plain default)");
      return;
    }
    out += rest.substr(0, at);
    Result<std::string> value = value_of(inside);
    if (!value) {
      problem(value.error().what);
    } else {
      out += *value;
    }
    node.is_secret |= inside.starts_with("file:");
    rest.remove_prefix(end + 1);
  }
  out += rest;
  if (text::valid_utf8(out) != out) {
    problem("a variable or file in this value is not UTF-8 (store it as UTF-8)");
    return;
  }
  node.text = std::move(out);
}

}  // namespace

void interpolate(Node& node, Problems& problems) {
  if (node.kind == Node::Kind::Scalar) interpolate_scalar(node, problems);
  for (Node& item : node.items) interpolate(item, problems);
}

}  // namespace davy::config
