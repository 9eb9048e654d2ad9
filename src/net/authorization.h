// Authorization: the value of the HTTP header of that name.
//
// Threading: pure functions. Failure: an Error that repeats nothing of what is secret.
#pragma once

#include <string>
#include <string_view>

#include "davy/result.h"

namespace davy::net {

/// RFC 7617: "Basic dXNlcjpwYXNz".
Result<std::string> basic_authorization(std::string_view user, std::string_view password);
/// RFC 6750. What stands around the token, such as a file's last line break, is not part of it.
Result<std::string> bearer_authorization(std::string_view token);

}  // namespace davy::net
