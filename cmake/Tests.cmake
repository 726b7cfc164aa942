# SPDX-License-Identifier: MIT
#
# The C tests. Each tests/c/<name>_test.c is a program, linked with the host of tests/host/, which plays
# MsQuic's platform, and with the archive; once plain, and again for each sanitizer that is asked for.
# ctest calls them c.<name>, c.<name>.asan and c.<name>.tsan.

file(GLOB c_tests CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/c/*_test.c")

set(variants plain)
set(sanitize_plain "")
set(command_plain "")

if(MSQUICXDP_ASAN)
    list(APPEND variants asan)
    set(sanitize_asan -fsanitize=address,undefined -fno-sanitize-recover=undefined)
    set(command_asan "")
endif()

# Go's own objects are not instrumented. The archive's C code is, and cgo tells the sanitizer of every
# crossing, so that what Go orders counts as ordered. The sanitizer's memory map needs fixed addresses.
if(MSQUICXDP_TSAN)
    find_program(SETARCH setarch)
    if(NOT SETARCH)
        message(FATAL_ERROR "MSQUICXDP_TSAN needs setarch, of util-linux.")
    endif()
    list(APPEND variants tsan)
    set(sanitize_tsan -fsanitize=thread)
    set(command_tsan "${SETARCH}" -R)
endif()

# Another process, for c.liar: a member that lies.
set(liar "${PROJECT_BINARY_DIR}/liar")
file(GLOB liar_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/datapath/pool/*_test.go")
add_custom_command(
    OUTPUT "${liar}"
    COMMAND "${PROJECT_SOURCE_DIR}/scripts/liar.sh" "${liar}"
    DEPENDS ${liar_sources} ${archive_sources} "${PROJECT_SOURCE_DIR}/scripts/liar.sh"
    COMMENT "Building the member that lies"
    VERBATIM)
add_custom_target(liar_program ALL DEPENDS "${liar}")

set(warnings -Wall -Wextra -Werror)
file(GLOB host_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/host/*.c")

function(add_host variant)
    set(host host_${variant})
    add_library(${host} STATIC ${host_sources})
    target_include_directories(${host} PUBLIC "${PROJECT_SOURCE_DIR}/tests" "${PROJECT_SOURCE_DIR}/include")
    target_compile_options(${host} PUBLIC ${warnings} -O1 -g -fno-omit-frame-pointer ${sanitize_${variant}})
    target_link_options(${host} PUBLIC ${sanitize_${variant}})
    # The host calls the archive, and the archive the host.
    target_link_libraries(${host} PUBLIC msquicxdp_${variant})
    set_property(TARGET msquicxdp_${variant} APPEND PROPERTY INTERFACE_LINK_LIBRARIES ${host})
endfunction()

function(add_c_test source variant)
    get_filename_component(name "${source}" NAME)
    string(REPLACE "_test.c" "" name "${name}")
    set(program ${name}_test.${variant})
    set(test c.${name})
    if(NOT variant STREQUAL "plain")
        set(test c.${name}.${variant})
    endif()
    add_executable(${program} "${source}")
    target_link_libraries(${program} PRIVATE host_${variant})
    add_test(NAME ${test} COMMAND ${command_${variant}} $<TARGET_FILE:${program}>)
    # Claims on ports are the test's own affair, not the machine's.
    set_tests_properties(${test} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300 LABELS "c;${variant}"
        ENVIRONMENT "MSQUICXDP_STATE_DIR=${PROJECT_BINARY_DIR}/state;MSQUICXDP_TEST_LIAR=${liar}")
endfunction()

foreach(variant IN LISTS variants)
    if(NOT variant STREQUAL "plain")
        msquicxdp_add_archive(${variant})
    endif()
    add_host(${variant})
    foreach(source IN LISTS c_tests)
        add_c_test("${source}" ${variant})
    endforeach()
endforeach()

# Our headers, alone, as strict C and C++.
function(add_abi_test source)
    get_filename_component(name "${source}" NAME_WE)
    add_executable(${name} "${PROJECT_SOURCE_DIR}/tests/abi/${source}")
    target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/include")
    target_compile_options(${name} PRIVATE ${warnings} -pedantic)
    set_target_properties(${name} PROPERTIES
        C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
        CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF)
    add_test(NAME abi.${name} COMMAND ${name})
    set_tests_properties(abi.${name} PROPERTIES LABELS abi)
endfunction()

add_abi_test(cxplat_c11.c)
add_abi_test(cxplat_cpp17.cc)

# The archive as a file, as somebody else would use it, and as a part of MsQuic.
add_test(NAME archive
    COMMAND "${PROJECT_SOURCE_DIR}/scripts/check-archive.sh" "${MSQUICXDP_OUTPUT_DIR}/libmsquicxdp.a")
add_test(NAME install
    COMMAND "${PROJECT_SOURCE_DIR}/scripts/check-install.sh" "${PROJECT_BINARY_DIR}")
add_test(NAME hook
    COMMAND "${PROJECT_SOURCE_DIR}/scripts/check-hook.sh" "${MSQUICXDP_OUTPUT_DIR}/libmsquicxdp.a")
set_tests_properties(archive install hook PROPERTIES LABELS package)

# That what fuzzes still runs; c.fuzz does the same for the C interface. ./build.sh fuzz is the whole of it.
add_test(NAME fuzz
    COMMAND "${PROJECT_SOURCE_DIR}/scripts/fuzz.sh" --seconds 5 ./portres/rules)
set_tests_properties(fuzz PROPERTIES TIMEOUT 300 LABELS fuzz)
