# SPDX-License-Identifier: MIT
#
# MsQuicDatapath.cmake - builds MsQuic with this project's datapath in place of its own, without a patch.
#
# Name this file on MsQuic's configure line:
#
#   cmake -S msquic -B build -DCMAKE_PROJECT_msquic_INCLUDE=<here>/MsQuicDatapath.cmake ...
#
# CMake includes it where MsQuic calls project(). When all of MsQuic's targets are known, it
#   - takes the datapath's sources out of MsQuic's platform library, and puts layout_check.c in, which stops
#     the build where MsQuic's headers differ from what the archive was built for;
#   - links the archive wherever the platform library is linked, and next to a static MsQuic.
# What it cannot do, it refuses, and says why. docs/LINKING.md has the messages.
#
# Settings:
#   MSQUICXDP_ARCHIVE   the archive; without it the one that belongs to this file, built or installed.
#   MSQUICXDP_DATAPATH  OFF builds MsQuic with its own datapath.

if(CMAKE_VERSION VERSION_LESS 3.19)
    message(FATAL_ERROR
        "msquicxdp: MsQuicDatapath.cmake needs CMake 3.19 or newer, this is ${CMAKE_VERSION}.")
endif()

# The policies of the functions below, whatever MsQuic sets for itself.
cmake_policy(PUSH)
cmake_policy(VERSION 3.19)

set(_msquicxdp_hook_dir "${CMAKE_CURRENT_LIST_DIR}")

option(MSQUICXDP_DATAPATH "Use the datapath of msquicxdp instead of MsQuic's own" ON)
set(MSQUICXDP_ARCHIVE "" CACHE FILEPATH "libmsquicxdp.a, if not the one that belongs to MsQuicDatapath.cmake")

function(_msquicxdp_refuse)
    string(JOIN " " text ${ARGV})
    message(FATAL_ERROR "msquicxdp: ${text}\nSee docs/LINKING.md of msquicxdp.")
endfunction()

function(_msquicxdp_check_platform)
    if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
        _msquicxdp_refuse("the datapath is for Linux, this build is for ${CMAKE_SYSTEM_NAME}.")
    endif()
    if(NOT CMAKE_SIZEOF_VOID_P EQUAL 8)
        _msquicxdp_refuse("the datapath is for 64-bit machines, this build is for 32 bits.")
    endif()
endfunction()

# Sets <result> to the archive's path.
function(_msquicxdp_find_archive result)
    if(MSQUICXDP_ARCHIVE)
        set(candidates "${MSQUICXDP_ARCHIVE}")
    else()
        # In the source tree, then as installed.
        set(candidates "${_msquicxdp_hook_dir}/../build/libmsquicxdp.a")
        foreach(libdir lib lib64 "lib/${CMAKE_LIBRARY_ARCHITECTURE}")
            list(APPEND candidates "${_msquicxdp_hook_dir}/../../../${libdir}/libmsquicxdp.a")
        endforeach()
    endif()
    foreach(candidate IN LISTS candidates)
        get_filename_component(candidate "${candidate}" ABSOLUTE BASE_DIR "${CMAKE_BINARY_DIR}")
        if(EXISTS "${candidate}")
            set(${result} "${candidate}" PARENT_SCOPE)
            return()
        endif()
    endforeach()
    list(JOIN candidates "\n  " looked)
    _msquicxdp_refuse("the archive is not built. Run './build.sh build' in the msquicxdp source tree, or name"
        "the archive with -DMSQUICXDP_ARCHIVE=<path>/libmsquicxdp.a. Looked for:\n  ${looked}")
endfunction()

function(_msquicxdp_check_configuration)
    if(QUIC_LINUX_IOURING_ENABLED)
        _msquicxdp_refuse("MsQuic's io_uring event queue is not supported, only epoll:"
            "configure with -DQUIC_LINUX_IOURING_ENABLED=OFF.")
    endif()
    if(NOT TARGET msquic_platform)
        _msquicxdp_refuse("this MsQuic has no target msquic_platform. Supported are MsQuic v2.6.x and main.")
    endif()
endfunction()

# Replaces the datapath's sources by the layout check.
function(_msquicxdp_replace_sources)
    get_target_property(sources msquic_platform SOURCES)
    foreach(name epoll linux unix xplat raw_dummy)
        if(NOT "datapath_${name}.c" IN_LIST sources)
            _msquicxdp_refuse("this MsQuic does not build src/platform/datapath_${name}.c, which the archive is to"
                "replace. Supported are MsQuic v2.6.x and main.")
        endif()
        list(REMOVE_ITEM sources "datapath_${name}.c")
    endforeach()
    foreach(source IN LISTS sources)
        if(source MATCHES "(^|/)datapath_[^/]*$")
            _msquicxdp_refuse("this MsQuic also builds src/platform/${source}, which msquicxdp does not know."
                "Supported are MsQuic v2.6.x and main.")
        endif()
    endforeach()
    list(APPEND sources "${_msquicxdp_hook_dir}/layout_check.c")
    set_property(TARGET msquic_platform PROPERTY SOURCES "${sources}")
endfunction()

# The archive and the platform library need each other; told so, CMake puts them on the link line in an order
# that resolves both, for everything that links the platform library.
function(_msquicxdp_link_with_platform archive)
    if(NOT TARGET msquicxdp::msquicxdp)
        add_library(msquicxdp::msquicxdp STATIC IMPORTED GLOBAL)
        set_target_properties(msquicxdp::msquicxdp PROPERTIES IMPORTED_LOCATION "${archive}")
    endif()
    set_property(TARGET msquicxdp::msquicxdp APPEND PROPERTY
        INTERFACE_LINK_LIBRARIES msquic_platform pthread ${CMAKE_DL_LIBS})
    set_property(TARGET msquic_platform APPEND PROPERTY INTERFACE_LINK_LIBRARIES msquicxdp::msquicxdp)
endfunction()

# A static MsQuic is one file that holds the platform too. CMake knows it as a path, not as a target, so
# the mutual need is spelled out to the linker, and the archive named as what to link again for.
function(_msquicxdp_link_with_static_msquic archive)
    get_target_property(libraries msquic INTERFACE_LINK_LIBRARIES)
    list(GET libraries 0 library)
    set_property(TARGET msquic PROPERTY INTERFACE_LINK_LIBRARIES
        "-Wl,--start-group,${library},${archive},--end-group" ${libraries} pthread ${CMAKE_DL_LIBS})
    set_property(TARGET msquic APPEND PROPERTY INTERFACE_LINK_DEPENDS "${archive}")
endfunction()

# A Go runtime cannot be unloaded: libmsquic.so stays in the process after dlclose.
function(_msquicxdp_link_with_shared_msquic)
    set_property(TARGET msquic APPEND PROPERTY LINK_OPTIONS "LINKER:-z,nodelete")
endfunction()

function(_msquicxdp_install_hook)
    _msquicxdp_check_configuration()
    _msquicxdp_find_archive(archive)
    _msquicxdp_replace_sources()
    _msquicxdp_link_with_platform("${archive}")
    get_target_property(type msquic TYPE)
    if(type STREQUAL "SHARED_LIBRARY")
        _msquicxdp_link_with_shared_msquic()
    else()
        _msquicxdp_link_with_static_msquic("${archive}")
    endif()
    message(STATUS "msquicxdp: the datapath is ${archive}")
endfunction()

if(MSQUICXDP_DATAPATH)
    _msquicxdp_check_platform()
    cmake_language(DEFER CALL _msquicxdp_install_hook)
endif()

cmake_policy(POP)
