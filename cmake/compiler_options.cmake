# Compiler options of the whole project: warnings, sanitizers, compiler cache.
#
# Nothing here reaches a target of somebody else: the options are set on our directories, not on exported targets, and
# the warnings only when midtrace is the top-level project. Warnings become errors in the presets alone
# (CMAKE_COMPILE_WARNING_AS_ERROR).

if(PROJECT_IS_TOP_LEVEL)
  add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion)
  # GCC 12 sees overlapping copies in `"literal" + std::string()` that are not there (GCC bug 105329, fixed in 13).
  add_compile_options("$<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>")
  # The RD_KAFKA_V_ macros of librdkafka are statement expressions, and clang blames whoever uses them.
  add_compile_options("$<$<CXX_COMPILER_ID:Clang>:-Wno-gnu-statement-expression>")

  find_program(MIDTRACE_CCACHE ccache)
  mark_as_advanced(MIDTRACE_CCACHE)
  if(MIDTRACE_CCACHE)
    foreach(language C CXX)
      if(NOT CMAKE_${language}_COMPILER_LAUNCHER)
        set(CMAKE_${language}_COMPILER_LAUNCHER "${MIDTRACE_CCACHE}")
      endif()
    endforeach()
  endif()
endif()

if(MIDTRACE_SANITIZE)
  add_compile_options("-fsanitize=${MIDTRACE_SANITIZE}" -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options("-fsanitize=${MIDTRACE_SANITIZE}")
endif()

if(MIDTRACE_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "MIDTRACE_FUZZ needs clang's libFuzzer, but the compiler is ${CMAKE_CXX_COMPILER}. "
      "Configure with -DCMAKE_CXX_COMPILER=clang++-14 or use the preset fuzz.")
  endif()
  # Coverage for the libraries; the fuzz programs themselves link with -fsanitize=fuzzer.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
