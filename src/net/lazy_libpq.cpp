#include "net/lazy_libpq.h"

#include <dlfcn.h>
#include <libpq-fe.h>

#include <string>

#include "base/guarded.h"

// Every function of libpq that libpqxx 6.4, libpqxx 7.10 or we ourselves call: how many parameters
// it has, what it returns, its name, and the parameters' types. The compiler compares them with
// libpq-fe.h; the linker misses what is not here.
#define LIBPQ_FUNCTIONS(F)                                                                   \
  F(1, PGconn*, PQconnectStart, const char*)                                                 \
  F(1, PostgresPollingStatusType, PQconnectPoll, PGconn*)                                    \
  F(1, PGconn*, PQconnectdb, const char*)                                                    \
  F(3, PGconn*, PQconnectdbParams, const char* const*, const char* const*, int)              \
  F(1, void, PQfinish, PGconn*)                                                              \
  F(1, PQconninfoOption*, PQconninfo, PGconn*)                                               \
  F(1, void, PQconninfoFree, PQconninfoOption*)                                              \
  F(1, void, PQreset, PGconn*)                                                               \
  F(1, PGcancel*, PQgetCancel, PGconn*)                                                      \
  F(1, void, PQfreeCancel, PGcancel*)                                                        \
  F(3, int, PQcancel, PGcancel*, char*, int)                                                 \
  F(1, char*, PQdb, const PGconn*)                                                           \
  F(1, char*, PQuser, const PGconn*)                                                         \
  F(1, char*, PQhost, const PGconn*)                                                         \
  F(1, char*, PQport, const PGconn*)                                                         \
  F(1, ConnStatusType, PQstatus, const PGconn*)                                              \
  F(1, int, PQprotocolVersion, const PGconn*)                                                \
  F(1, int, PQserverVersion, const PGconn*)                                                  \
  F(1, char*, PQerrorMessage, const PGconn*)                                                 \
  F(1, int, PQsocket, const PGconn*)                                                         \
  F(1, int, PQbackendPID, const PGconn*)                                                     \
  F(1, int, PQclientEncoding, const PGconn*)                                                 \
  F(2, int, PQsetClientEncoding, PGconn*, const char*)                                       \
  F(2, void, PQinitOpenSSL, int, int)                                                        \
  F(2, PGVerbosity, PQsetErrorVerbosity, PGconn*, PGVerbosity)                               \
  F(3, PQnoticeProcessor, PQsetNoticeProcessor, PGconn*, PQnoticeProcessor, void*)           \
  F(2, void, PQtrace, PGconn*, FILE*)                                                        \
  F(1, void, PQuntrace, PGconn*)                                                             \
  F(2, PGresult*, PQexec, PGconn*, const char*)                                              \
  F(8, PGresult*, PQexecParams, PGconn*, const char*, int, const Oid*, const char* const*,   \
    const int*, const int*, int)                                                             \
  F(5, PGresult*, PQprepare, PGconn*, const char*, const char*, int, const Oid*)             \
  F(7, PGresult*, PQexecPrepared, PGconn*, const char*, int, const char* const*, const int*, \
    const int*, int)                                                                         \
  F(2, int, PQsendQuery, PGconn*, const char*)                                               \
  F(1, PGresult*, PQgetResult, PGconn*)                                                      \
  F(1, int, PQisBusy, PGconn*)                                                               \
  F(1, int, PQconsumeInput, PGconn*)                                                         \
  F(1, PGnotify*, PQnotifies, PGconn*)                                                       \
  F(3, int, PQputCopyData, PGconn*, const char*, int)                                        \
  F(2, int, PQputCopyEnd, PGconn*, const char*)                                              \
  F(3, int, PQgetCopyData, PGconn*, char**, int)                                             \
  F(1, int, PQendcopy, PGconn*)                                                              \
  F(0, int, PQisthreadsafe, void)                                                            \
  F(1, ExecStatusType, PQresultStatus, const PGresult*)                                      \
  F(1, char*, PQresultErrorMessage, const PGresult*)                                         \
  F(2, char*, PQresultErrorField, const PGresult*, int)                                      \
  F(1, int, PQntuples, const PGresult*)                                                      \
  F(1, int, PQnfields, const PGresult*)                                                      \
  F(2, char*, PQfname, const PGresult*, int)                                                 \
  F(2, int, PQfnumber, const PGresult*, const char*)                                         \
  F(2, Oid, PQftable, const PGresult*, int)                                                  \
  F(2, int, PQftablecol, const PGresult*, int)                                               \
  F(2, Oid, PQftype, const PGresult*, int)                                                   \
  F(2, int, PQfsize, const PGresult*, int)                                                   \
  F(2, int, PQfmod, const PGresult*, int)                                                    \
  F(1, char*, PQcmdStatus, PGresult*)                                                        \
  F(1, Oid, PQoidValue, const PGresult*)                                                     \
  F(1, char*, PQcmdTuples, PGresult*)                                                        \
  F(3, char*, PQgetvalue, const PGresult*, int, int)                                         \
  F(3, int, PQgetlength, const PGresult*, int, int)                                          \
  F(3, int, PQgetisnull, const PGresult*, int, int)                                          \
  F(1, void, PQclear, PGresult*)                                                             \
  F(1, void, PQfreemem, void*)                                                               \
  F(5, size_t, PQescapeStringConn, PGconn*, char*, const char*, size_t, int*)                \
  F(3, char*, PQescapeIdentifier, PGconn*, const char*, size_t)                              \
  F(4, unsigned char*, PQescapeByteaConn, PGconn*, const unsigned char*, size_t, size_t*)    \
  F(2, unsigned char*, PQunescapeBytea, const unsigned char*, size_t*)                       \
  F(3, int, lo_open, PGconn*, Oid, int)                                                      \
  F(2, int, lo_close, PGconn*, int)                                                          \
  F(4, int, lo_read, PGconn*, int, char*, size_t)                                            \
  F(4, int, lo_write, PGconn*, int, const char*, size_t)                                     \
  F(4, int, lo_lseek, PGconn*, int, int, int)                                                \
  F(4, pg_int64, lo_lseek64, PGconn*, int, pg_int64, int)                                    \
  F(2, Oid, lo_creat, PGconn*, int)                                                          \
  F(2, Oid, lo_create, PGconn*, Oid)                                                         \
  F(2, int, lo_tell, PGconn*, int)                                                           \
  F(2, pg_int64, lo_tell64, PGconn*, int)                                                    \
  F(3, int, lo_truncate64, PGconn*, int, pg_int64)                                           \
  F(2, int, lo_unlink, PGconn*, Oid)                                                         \
  F(2, Oid, lo_import, PGconn*, const char*)                                                 \
  F(3, Oid, lo_import_with_oid, PGconn*, const char*, Oid)                                   \
  F(3, int, lo_export, PGconn*, Oid, const char*)                                            \
  F(2, char*, PQencryptPassword, const char*, const char*)                                   \
  F(4, char*, PQencryptPasswordConn, PGconn*, const char*, const char*, const char*)         \
  F(1, const char*, pg_encoding_to_char, int)

#define PARAMETERS_0(NONE) NONE
#define PARAMETERS_1(A) A a
#define PARAMETERS_2(A, B) A a, B b
#define PARAMETERS_3(A, B, C) A a, B b, C c
#define PARAMETERS_4(A, B, C, D) A a, B b, C c, D d
#define PARAMETERS_5(A, B, C, D, E) A a, B b, C c, D d, E e
#define PARAMETERS_6(A, B, C, D, E, F) A a, B b, C c, D d, E e, F f
#define PARAMETERS_7(A, B, C, D, E, F, G) A a, B b, C c, D d, E e, F f, G g
#define PARAMETERS_8(A, B, C, D, E, F, G, H) A a, B b, C c, D d, E e, F f, G g, H h
#define ARGUMENTS_0
#define ARGUMENTS_1 a
#define ARGUMENTS_2 a, b
#define ARGUMENTS_3 a, b, c
#define ARGUMENTS_4 a, b, c, d
#define ARGUMENTS_5 a, b, c, d, e
#define ARGUMENTS_6 a, b, c, d, e, f
#define ARGUMENTS_7 a, b, c, d, e, f, g
#define ARGUMENTS_8 a, b, c, d, e, f, g, h

namespace davy::net {
namespace {

/// The library's own functions. Written once, before any of them is called.
struct Libpq {
#define DECLARE(N, RESULT, NAME, ...) decltype(&::NAME) NAME = nullptr;
  LIBPQ_FUNCTIONS(DECLARE)
};
Libpq libpq;

}  // namespace

Result<Done> load_libpq(const Call& call) {
  static Guarded<bool> is_loaded;
  auto loaded = is_loaded.lock();
  if (*loaded) return Done{};
  Step step(call, "load libpq");
  void* library = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    return Error{std::string("libpq.so.5 cannot be loaded: ") + dlerror() + " (install libpq5)"};
  const char* missing = nullptr;
#define FIND(N, RESULT, NAME, ...)                                         \
  libpq.NAME = reinterpret_cast<decltype(&::NAME)>(dlsym(library, #NAME)); \
  if (libpq.NAME == nullptr) missing = #NAME;
  LIBPQ_FUNCTIONS(FIND)
  if (missing != nullptr) return Error{std::string("libpq.so.5 is too old: it has no ") + missing};
  *loaded = true;
  return Done{};
}

}  // namespace davy::net

#define FORWARD(N, RESULT, NAME, ...)            \
  RESULT NAME(PARAMETERS_##N(__VA_ARGS__)) {     \
    return davy::net::libpq.NAME(ARGUMENTS_##N); \
  }
extern "C" {
LIBPQ_FUNCTIONS(FORWARD)
}
