# One shape for every library of the project.
#
#   midtrace_add_library(<component> ...)   the static library midtrace_<component>, alias midtrace::<component>, with
#                                           its install rules, its CMake component and its pkg-config file
#   midtrace_add_module(<component> ...)    the same for a module that wraps a client library: built when that library
#                                           is found, skipped with one status line when not, governed by
#                                           MIDTRACE_<COMPONENT> = AUTO (default), ON (required) or OFF
#   midtrace_later_module(<component>)      a module that this version does not have
#   midtrace_install_package()              once, at the end: the package files that cover all components
#
# Arguments of the first two:
#   DESCRIPTION <text>        one line, for pkg-config
#   SOURCES <file>...         explicit, relative to the calling directory
#   HEADERS <file>...         public headers below include/; each must compile by itself
#   OPTIONAL_HEADERS <file>.. midtrace_add_library: public headers that need a library which midtrace itself does not
#   COMPONENTS <name>...      components of ours that the public headers use; `common` for modules
#   PKG_CONFIG <module>...    midtrace_add_module: pkg-config names of the client library, with version bounds
#   BUILD_HEADERS <file>...   midtrace_add_module: header-only libraries that the sources need and users do not

set(MIDTRACE_PACKAGE_DIRECTORY "${CMAKE_INSTALL_LIBDIR}/cmake/midtrace")
set_property(GLOBAL PROPERTY MIDTRACE_COMPONENTS "")

function(midtrace_add_library component)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "DESCRIPTION" "SOURCES;HEADERS;OPTIONAL_HEADERS;COMPONENTS")
  set(target midtrace_${component})

  add_library(${target} STATIC ${arg_SOURCES})
  add_library(midtrace::${component} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${component})
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PRIVATE src)
  target_compile_definitions(${target} PRIVATE MIDTRACE_VERSION="${midtrace_VERSION}")
  target_sources(${target} PUBLIC
    FILE_SET HEADERS BASE_DIRS include FILES ${arg_HEADERS})
  if(arg_OPTIONAL_HEADERS)
    target_sources(${target} PUBLIC
      FILE_SET optional_headers TYPE HEADERS BASE_DIRS include FILES ${arg_OPTIONAL_HEADERS})
    set_target_properties(${target} PROPERTIES INTERFACE_HEADER_SETS_TO_VERIFY HEADERS)
    set(optional_headers FILE_SET optional_headers DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  endif()
  foreach(other IN LISTS arg_COMPONENTS)
    target_link_libraries(${target} PUBLIC midtrace_${other})
  endforeach()

  set_property(GLOBAL APPEND PROPERTY MIDTRACE_COMPONENTS ${component})
  set_target_properties(${target} PROPERTIES
    MIDTRACE_DESCRIPTION "${arg_DESCRIPTION}"
    MIDTRACE_REQUIRED_COMPONENTS "${arg_COMPONENTS}")
  if(MIDTRACE_INSTALL)
    install(TARGETS ${target} EXPORT midtrace-${component}-targets
      ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
      FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
      ${optional_headers})
    install(EXPORT midtrace-${component}-targets NAMESPACE midtrace::
      DESTINATION ${MIDTRACE_PACKAGE_DIRECTORY})
  endif()
endfunction()

function(midtrace_add_module component)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "DESCRIPTION" "SOURCES;HEADERS;COMPONENTS;PKG_CONFIG;BUILD_HEADERS")
  string(TOUPPER ${component} upper)
  _midtrace_module_switch(${component})
  if(MIDTRACE_${upper} STREQUAL "OFF")
    message(STATUS "midtrace::${component}: off")
    return()
  endif()

  find_package(PkgConfig QUIET)
  if(PkgConfig_FOUND)
    pkg_check_modules(MIDTRACE_${upper}_CLIENT QUIET IMPORTED_TARGET GLOBAL ${arg_PKG_CONFIG})
    set(absent "not found by pkg-config")
  else()
    set(absent "not looked for, because pkg-config is not installed")
  endif()
  if(NOT MIDTRACE_${upper}_CLIENT_FOUND)
    list(JOIN arg_PKG_CONFIG ", " wanted)
    if(MIDTRACE_${upper} STREQUAL "ON")
      message(FATAL_ERROR "midtrace::${component}: ${wanted} ${absent}. Install the client library's development "
        "package, name its place in PKG_CONFIG_PATH, or configure with -DMIDTRACE_${upper}=AUTO to build without it.")
    endif()
    message(STATUS "midtrace::${component}: skipped, ${wanted} ${absent}")
    return()
  endif()

  set(build_directories "")
  foreach(header IN LISTS arg_BUILD_HEADERS)
    string(MAKE_C_IDENTIFIER "MIDTRACE_${upper}_${header}" place)
    find_path(${place} ${header})
    mark_as_advanced(${place})
    if(NOT ${place})
      if(MIDTRACE_${upper} STREQUAL "ON")
        message(FATAL_ERROR "midtrace::${component}: the header ${header} is not found. Install its library's "
          "development package, name its place with -D${place}=DIRECTORY, or configure with "
          "-DMIDTRACE_${upper}=AUTO to build without it.")
      endif()
      message(STATUS "midtrace::${component}: skipped, the header ${header} is not found")
      return()
    endif()
    list(APPEND build_directories "${${place}}")
  endforeach()

  midtrace_add_library(${component}
    DESCRIPTION "${arg_DESCRIPTION}" SOURCES ${arg_SOURCES} HEADERS ${arg_HEADERS} COMPONENTS ${arg_COMPONENTS})
  target_link_libraries(midtrace_${component} PUBLIC PkgConfig::MIDTRACE_${upper}_CLIENT)
  if(build_directories)
    target_include_directories(midtrace_${component} SYSTEM PRIVATE ${build_directories})
  endif()
  set_target_properties(midtrace_${component} PROPERTIES MIDTRACE_PKG_CONFIG "${arg_PKG_CONFIG}")
  list(GET arg_PKG_CONFIG 0 first)
  string(REGEX REPLACE "[<>= ].*" "" first "${first}")
  set(version "${MIDTRACE_${upper}_CLIENT_${first}_VERSION}")
  if(NOT version)  # with one module only, its name is no part of the variable's
    set(version "${MIDTRACE_${upper}_CLIENT_VERSION}")
  endif()
  message(STATUS "midtrace::${component}: with ${first} ${version}")
endfunction()

function(midtrace_later_module component)
  string(TOUPPER ${component} upper)
  _midtrace_module_switch(${component})
  if(MIDTRACE_${upper} STREQUAL "ON")
    message(FATAL_ERROR "midtrace::${component} is not part of midtrace ${PROJECT_VERSION}: "
      "configure without -DMIDTRACE_${upper}=ON.")
  endif()
  message(STATUS "midtrace::${component}: not part of version ${PROJECT_VERSION} yet")
endfunction()

# The cache variable MIDTRACE_<COMPONENT>, and in the caller its value as one of AUTO, ON, OFF.
macro(_midtrace_module_switch component)
  string(TOUPPER ${component} _upper)
  set(MIDTRACE_${_upper} AUTO CACHE STRING "Build midtrace::${component}: AUTO (when its client library is found), ON, OFF")
  set_property(CACHE MIDTRACE_${_upper} PROPERTY STRINGS AUTO ON OFF)
  string(TOUPPER "${MIDTRACE_${_upper}}" _value)
  if(NOT _value STREQUAL "AUTO")
    if(_value MATCHES "^(ON|TRUE|YES|Y|1)$")
      set(_value ON)
    elseif(_value MATCHES "^(OFF|FALSE|NO|N|0)$")
      set(_value OFF)
    else()
      message(FATAL_ERROR "MIDTRACE_${_upper} is \"${MIDTRACE_${_upper}}\"; it must be AUTO, ON or OFF.")
    endif()
  endif()
  set(MIDTRACE_${_upper} ${_value})
endmacro()

function(midtrace_install_package)
  include(CMakePackageConfigHelpers)
  get_property(components GLOBAL PROPERTY MIDTRACE_COMPONENTS)

  foreach(component IN LISTS components)
    _midtrace_install_component(${component})
  endforeach()

  configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/midtrace-config.cmake.in"
    "${PROJECT_BINARY_DIR}/package/midtrace-config.cmake" INSTALL_DESTINATION ${MIDTRACE_PACKAGE_DIRECTORY}
    NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
  write_basic_package_version_file("${PROJECT_BINARY_DIR}/package/midtrace-config-version.cmake"
    COMPATIBILITY SameMinorVersion)
  install(FILES
    "${PROJECT_BINARY_DIR}/package/midtrace-config.cmake"
    "${PROJECT_BINARY_DIR}/package/midtrace-config-version.cmake"
    DESTINATION ${MIDTRACE_PACKAGE_DIRECTORY})
  install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION ${CMAKE_INSTALL_DOCDIR})
endfunction()

# midtrace-<component>.cmake and midtrace-<component>.pc. Beside the client library of a module, which pkg-config finds, a
# target may need packages of CMake's (property MIDTRACE_CMAKE_PACKAGES, and MIDTRACE_PC_REQUIRED for the .pc file).
function(_midtrace_install_component component)
  set(target midtrace_${component})
  get_target_property(MIDTRACE_REQUIRED_COMPONENTS ${target} MIDTRACE_REQUIRED_COMPONENTS)
  get_target_property(modules ${target} MIDTRACE_PKG_CONFIG)
  if(NOT modules)
    set(modules "")
  endif()
  get_target_property(MIDTRACE_CMAKE_PACKAGES ${target} MIDTRACE_CMAKE_PACKAGES)
  if(NOT MIDTRACE_CMAKE_PACKAGES)
    set(MIDTRACE_CMAKE_PACKAGES "")
  endif()
  string(TOUPPER ${component} MIDTRACE_COMPONENT_UPPER)
  set(MIDTRACE_COMPONENT ${component})

  set(MIDTRACE_COMPONENT_MODULES "")
  set(requires "")
  foreach(other IN LISTS MIDTRACE_REQUIRED_COMPONENTS)
    list(APPEND requires "midtrace-${other} = ${PROJECT_VERSION}")
  endforeach()
  foreach(module IN LISTS modules)
    string(APPEND MIDTRACE_COMPONENT_MODULES " \"${module}\"")
    string(REGEX REPLACE "(<=|>=|<|>|=)" " \\1 " module "${module}")
    list(APPEND requires "${module}")
  endforeach()
  get_target_property(required ${target} MIDTRACE_PC_REQUIRED)
  if(required)
    list(APPEND requires ${required})
  endif()
  configure_file("${PROJECT_SOURCE_DIR}/cmake/midtrace-component.cmake.in"
    "${PROJECT_BINARY_DIR}/package/midtrace-${component}.cmake" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/package/midtrace-${component}.cmake"
    DESTINATION ${MIDTRACE_PACKAGE_DIRECTORY})

  get_target_property(MIDTRACE_PC_DESCRIPTION ${target} MIDTRACE_DESCRIPTION)
  get_target_property(MIDTRACE_PC_LINK_FLAGS ${target} MIDTRACE_PC_LINK_FLAGS)
  if(NOT MIDTRACE_PC_LINK_FLAGS)
    set(MIDTRACE_PC_LINK_FLAGS "")
  endif()
  list(JOIN requires ", " MIDTRACE_PC_REQUIRES)
  _midtrace_pc_directory("${CMAKE_INSTALL_LIBDIR}" MIDTRACE_PC_LIBDIR)
  _midtrace_pc_directory("${CMAKE_INSTALL_INCLUDEDIR}" MIDTRACE_PC_INCLUDEDIR)
  # The prefix as seen from the file's own place, so that an installation may be moved.
  if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    set(MIDTRACE_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
  else()
    file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
    string(REGEX REPLACE "/$" "" up "${up}")
    set(MIDTRACE_PC_PREFIX "\${pcfiledir}/${up}")
  endif()
  configure_file("${PROJECT_SOURCE_DIR}/cmake/midtrace.pc.in"
    "${PROJECT_BINARY_DIR}/package/midtrace-${component}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/package/midtrace-${component}.pc"
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

function(_midtrace_pc_directory directory result)
  if(IS_ABSOLUTE "${directory}")
    set(${result} "${directory}" PARENT_SCOPE)
  else()
    set(${result} "\${prefix}/${directory}" PARENT_SCOPE)
  endif()
endfunction()
