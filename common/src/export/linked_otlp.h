// How midtrace::common finds midtrace::otlp when the program links it: by this symbol, and by nothing else.
//
// It is weak: without midtrace::otlp its address is null. Whoever links midtrace::otlp by CMake or pkg-config
// also gets the linker option -u midtrace_linked_otlp_v1, which takes its object out of the static library.
// Both libraries are of one version.
#pragma once

#include <memory>

#include <midtrace/export/exporter.h>

#include "../config/environment.h"

// The exporter that the environment asks for, or null after a warning. May throw std::bad_alloc.
extern "C" [[gnu::weak, gnu::visibility("hidden")]] void midtrace_linked_otlp_v1(
    const midtrace::Environment& environment, std::shared_ptr<midtrace::Exporter>& exporter);
