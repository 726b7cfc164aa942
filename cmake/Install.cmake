# SPDX-License-Identifier: MIT
#
# msquicxdp_install() says what is installed where:
#
#   lib/libmsquicxdp.a             the archive
#   bin/msquicxdp, share/man/      the administrator's command
#   lib/systemd/system/            the unit that applies reservations at boot
#   include/msquicxdp/             the headers
#   share/msquicxdp/cmake/         the hook for MsQuic, with its layout check
#   share/msquicxdp/include/abi/   the facts that it checks
#   lib/cmake/msquicxdp/           find_package(msquicxdp)
#   lib/pkgconfig/                 pkg-config msquicxdp
#
# Nothing but the unit holds the prefix: the installed tree may be moved.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

function(msquicxdp_install)
    set(hook_dir "${CMAKE_INSTALL_DATADIR}/msquicxdp/cmake")
    set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/msquicxdp")
    set(pkgconfig_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
    file(RELATIVE_PATH pkgconfig_to_prefix "/${pkgconfig_dir}" "/")

    configure_package_config_file(cmake/msquicxdp-config.cmake.in msquicxdp-config.cmake
        INSTALL_DESTINATION "${package_dir}"
        PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR hook_dir)
    write_basic_package_version_file(msquicxdp-config-version.cmake COMPATIBILITY SameMinorVersion)
    configure_file(cmake/msquicxdp.pc.in msquicxdp.pc @ONLY)

    install(FILES "${MSQUICXDP_OUTPUT_DIR}/libmsquicxdp.a" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
    install(PROGRAMS "${MSQUICXDP_OUTPUT_DIR}/bin/msquicxdp" DESTINATION "${CMAKE_INSTALL_BINDIR}")
    install(DIRECTORY packaging/man/ DESTINATION "${CMAKE_INSTALL_MANDIR}/man8" FILES_MATCHING PATTERN "*.8")
    # The unit names the command by its path, which is known when it is installed.
    install(CODE "
        file(READ \"${PROJECT_SOURCE_DIR}/packaging/msquicxdp-ports.service\" unit)
        string(REPLACE /usr/bin/ \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/\" unit \"\${unit}\")
        file(WRITE \"${CMAKE_CURRENT_BINARY_DIR}/msquicxdp-ports.service\" \"\${unit}\")")
    install(FILES "${CMAKE_CURRENT_BINARY_DIR}/msquicxdp-ports.service" DESTINATION lib/systemd/system)
    install(DIRECTORY include/msquicxdp DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.h")
    install(FILES cmake/MsQuicDatapath.cmake cmake/layout_check.c DESTINATION "${hook_dir}")
    install(FILES include/abi/layout_asserts.h DESTINATION "${CMAKE_INSTALL_DATADIR}/msquicxdp/include/abi")
    install(FILES
        "${CMAKE_CURRENT_BINARY_DIR}/msquicxdp-config.cmake"
        "${CMAKE_CURRENT_BINARY_DIR}/msquicxdp-config-version.cmake"
        DESTINATION "${package_dir}")
    install(FILES "${CMAKE_CURRENT_BINARY_DIR}/msquicxdp.pc" DESTINATION "${pkgconfig_dir}")
endfunction()
