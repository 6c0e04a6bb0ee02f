// What Swift cannot see of SQLite: destructor constants that are casts of integers.
#pragma once
#include <sqlite3.h>

/// Binds a copy of `bytes`: SQLITE_TRANSIENT is a cast that does not import.
static inline int gateway_sqlite3_bind_text(sqlite3_stmt *statement, int index, const char *bytes, int count) {
    return sqlite3_bind_text(statement, index, bytes, count, SQLITE_TRANSIENT);
}

/// Binds a copy of `bytes`; a NULL pointer with count 0 binds an empty blob, not NULL.
static inline int gateway_sqlite3_bind_blob(sqlite3_stmt *statement, int index, const void *bytes, int count) {
    return sqlite3_bind_blob(statement, index, bytes != 0 ? bytes : "", count, SQLITE_TRANSIENT);
}
