// Tracing for Redis through hiredis: Client, Options.
#pragma once

#include <midtrace/redis/client.h>
#include <midtrace/redis/library.h>
#include <midtrace/redis/options.h>
