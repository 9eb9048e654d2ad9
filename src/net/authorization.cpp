#include "net/authorization.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/text.h"

namespace davy::net {
namespace {

bool has_control_character(std::string_view s) {
  return std::any_of(s.begin(), s.end(), [](char c) {
    auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7F;
  });
}

}  // namespace

Result<std::string> basic_authorization(std::string_view user, std::string_view password) {
  if (user.find(':') != std::string_view::npos)
    return Error{"holds a colon, which HTTP's basic authentication cannot tell from the password"};
  if (has_control_character(user) || has_control_character(password))
    return Error{"holds a control character (a line break?)"};
  std::string both = std::string(user) + ":" + std::string(password);
  std::string coded(4 * ((both.size() + 2) / 3) + 1, '\0');  // EVP_EncodeBlock ends it with a zero
  int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(coded.data()),
                             reinterpret_cast<const unsigned char*>(both.data()),
                             static_cast<int>(both.size()));
  coded.resize(static_cast<std::size_t>(size));
  return "Basic " + coded;
}

Result<std::string> bearer_authorization(std::string_view token) {
  token = text::trim(token);
  if (token.empty()) return Error{"holds no token"};
  bool is_one_word = token.find_first_of(" \t") == std::string_view::npos;
  if (!is_one_word || has_control_character(token))
    return Error{"holds more than a token (spaces, or several lines)"};
  return "Bearer " + std::string(token);
}

}  // namespace davy::net
