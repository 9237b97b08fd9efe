// The client library's headers, wherever its package puts them: hiredis 0.14 and newer.
#pragma once

#if __has_include(<hiredis/hiredis.h>)
#include <hiredis/hiredis.h>
#else
#include <hiredis.h>
#endif
