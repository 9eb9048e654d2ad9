// Lazy libpq: PostgreSQL's client library, loaded when the first connection is made.
//
// Why: libpq brings some twenty libraries with it (Kerberos, LDAP, GnuTLS, ...), 4 MB and several
// milliseconds of every start, and most davys never speak to PostgreSQL. So davy is not linked with
// libpq: lazy_libpq.cpp defines the functions that libpqxx calls, and hands each call on.
// Threading: thread-safe.
// Failure: an Error that says what is not installed; asked again, it looks again.
#pragma once

#include "davy/call.h"
#include "davy/result.h"

namespace davy::net {

/// Takes some milliseconds the first time. REQUIRES: has succeeded before any function of libpq or
/// libpqxx is called.
Result<Done> load_libpq(const Call& call);

}  // namespace davy::net
