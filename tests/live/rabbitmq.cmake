# Tests against a real RabbitMQ node, which all of them share: CTest starts it before the first of them that runs and
# stops it after the last. Each test has a virtual host of its own in it, so that they can run side by side.
#
#   midtrace_add_rabbitmq_test(<name> SOURCES <file>... [LIBRARIES <target>...] [TIMEOUT <seconds>] [WHOLE] [SERIAL])

set(rabbitmq_state "MIDTRACE_TEST_RABBITMQ_STATE=${CMAKE_CURRENT_BINARY_DIR}/rabbitmq")
add_test(NAME live.rabbitmq_start COMMAND midtrace_test_rabbitmq_fixture start)
add_test(NAME live.rabbitmq_stop COMMAND midtrace_test_rabbitmq_fixture stop)
set_tests_properties(live.rabbitmq_start PROPERTIES FIXTURES_SETUP rabbitmq)
set_tests_properties(live.rabbitmq_stop PROPERTIES FIXTURES_CLEANUP rabbitmq)
set_tests_properties(live.rabbitmq_start live.rabbitmq_stop PROPERTIES
  LABELS live TIMEOUT 480 ENVIRONMENT "${rabbitmq_state}")

function(midtrace_add_rabbitmq_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "WHOLE;SERIAL" "TIMEOUT" "SOURCES;LIBRARIES")
  set(options)
  foreach(option WHOLE SERIAL)
    if(arg_${option})
      list(APPEND options ${option})
    endif()
  endforeach()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 240)
  endif()
  midtrace_add_test(${name} LABEL live TIMEOUT ${arg_TIMEOUT} ${options}
    FIXTURE rabbitmq ENVIRONMENT "${rabbitmq_state}"
    SOURCES ${arg_SOURCES} amqp_fixture.h amqp_peer.h
    LIBRARIES ${arg_LIBRARIES} midtrace_test_rabbitmq PkgConfig::MIDTRACE_TEST_RABBITMQ)
  add_dependencies(${name} midtrace_test_rabbitmq_fixture)
  target_compile_definitions(${name} PRIVATE
    MIDTRACE_TEST_AMQP_PEER="${PROJECT_SOURCE_DIR}/tests/live/amqp_peer.py")
endfunction()

find_package(nlohmann_json REQUIRED)
midtrace_add_rabbitmq_test(amqp_node_test
  SOURCES amqp_node_test.cpp LIBRARIES nlohmann_json::nlohmann_json)
target_compile_definitions(amqp_node_test PRIVATE
  MIDTRACE_TEST_RABBITMQ_FIXTURE="$<TARGET_FILE:midtrace_test_rabbitmq_fixture>")

if(TARGET midtrace_amqp)
  foreach(part trees consume settle process destinations dead_letter failures rpc publish publish_loss confirms
               returns headers propagation options interop stress)
    midtrace_add_rabbitmq_test(amqp_${part}_test
      SOURCES amqp_${part}_test.cpp amqp_traced_fixture.h amqp_consumer_fixture.h amqp_headers.h recording.h
      LIBRARIES midtrace_amqp midtrace_testing midtrace_test_vocabulary)
  endforeach()
  target_link_libraries(amqp_interop_test PRIVATE nlohmann_json::nlohmann_json)
endif()
