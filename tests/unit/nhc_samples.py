"""Lines of nhc.conf files, in words of our own, and what `preflight import-nhc` makes of each."""

from __future__ import annotations

from typing import Any

# A check's text -> the keys of the rows that it becomes, in order, without check, action and nodes.
TURNED: dict[str, list[dict[str, Any]]] = {
    "check_fs_mount_rw /": [{"path": "/", "options": ["rw"]}],
    "check_fs_mount_rw -f /": [{"path": "/", "options": ["rw"]}],
    "check_fs_mount_ro /opt/apps": [{"path": "/opt/apps", "options": ["ro"]}],
    "check_fs_mount /data filer:/data nfs": [{"path": "/data", "source": "filer:/data", "type": "nfs"}],
    'check_fs_mount_rw -t "nfs*" -s "filer:/home" -f /home': [
        {"path": "/home", "source": "filer:/home", "type": "nfs*", "options": ["rw"]}
    ],
    "check_fs_mount -o '/(^|,)vers=3(,|$)/' -o '!/(^|,)soft($|,)/' -f /p": [
        {"path": "/p", "options": ["vers=3", "!soft"]}
    ],
    "check_fs_mount_rw -f /a -f /b /c": [{"path": one, "options": ["rw"]} for one in ("/a", "/b", "/c")],
    "check_fs_mount_rw -f /{x,y}": [{"path": one, "options": ["rw"]} for one in ("/x", "/y")],
    "check_fs_free / 5%": [{"path": "/", "free_min": "5%", "mounted": True}],
    "check_fs_free /var 3g": [{"path": "/var", "free_min": "3G", "mounted": True}],
    "check_fs_free /tmp 1500": [{"path": "/tmp", "free_min": "1500K", "mounted": True}],
    "check_fs_free /dev/mapper/vg-root 5%": [{"device": "/dev/mapper/vg-root", "free_min": "5%"}],
    "check_fs_free /dev/shm 25%": [{"path": "/dev/shm", "free_min": "25%", "mounted": True}],
    "check_fs_used /raid 95%": [{"path": "/raid", "used_max": "95%", "mounted": True}],
    "check_fs_size /tmp 1g 20g": [{"path": "/tmp", "size_min": "1G", "size_max": "20G", "mounted": True}],
    'check_fs_size / "" 10g': [{"path": "/", "size_max": "10G", "mounted": True}],
    "check_fs_inodes / 1k 2k": [{"path": "/", "inodes_min": 1000, "inodes_max": 2000, "mounted": True}],
    "check_fs_ifree / 1k": [{"path": "/", "inodes_free_min": "1000", "mounted": True}],
    "check_fs_iused /scratch 98%": [{"path": "/scratch", "inodes_used_max": "98%", "mounted": True}],
    "check_hw_cpuinfo 2 64 128": [{"sockets": 2, "cores": 64, "threads": 128}],
    "check_hw_physmem 1915071MB 1915071MB 5%": [
        {"physical_min": "1915071M", "physical_max": "1915071M", "fudge": "5%"}
    ],
    'check_hw_physmem "" 32GB': [{"physical_max": "32G"}],
    "check_hw_swap 0kB 0kB 3%": [{"swap_min": "0", "swap_max": "0", "fudge": "3%"}],
    "check_hw_mem 40g 48g": [{"total_min": "40G", "total_max": "48G"}],
    "check_hw_physmem_free 1MB": [{"physical_free_min": "1M"}],
    "check_hw_swap_free 1": [{"swap_free_min": "1K"}],
    "check_hw_mem_free 1mb": [{"total_free_min": "1M"}],
    "check_hw_ib 400 mlx5_ib0:1": [{"device": "mlx5_ib0", "port": 1, "rate_min": 400, "rate_max": 400, "layer": "any"}],
    "check_hw_ib 100": [{"rate_min": 100, "rate_max": 100}],
    "check_hw_eth 'eth@(0|1)'": [{"device": "/^eth(?:0|1)$/", "state": "any"}],
    "check_hw_eth eth0": [{"device": "eth0", "state": "any"}],
    "check_hw_mcelog": [{"corrected_max": 9, "uncorrected_max": 0, "window": "1d"}],
    "MCELOG_MAX_CORRECTED_RATE=4 check_hw_mcelog": [{"corrected_max": 4, "uncorrected_max": 0, "window": "1d"}],
    'check_dmi_data_match "BIOS Information: Version: 2.11.0"': [{"match": ["BIOS Information: Version: 2.11.0"]}],
    'check_dmi_data_match -t "Memory Device" "*Speed: 1866 MHz"': [
        {"run": ["dmidecode", "-t", "17"], "output": ["*Speed: 1866 MHz"]}
    ],
    'check_dmi_data_match ! "Memory Device: Speed: 1333 MHz"': [
        {"run": ["dmidecode", "-t", "17"], "output": ["!/^\\s*Speed:\\ 1333\\ MHz$/"]}
    ],
    # Of BIOS Information the kernel keeps no such line; below Characteristics it stands alone.
    'check_dmi_data_match "BIOS Information: ROM Size: 16 MB"': [
        {"run": ["dmidecode", "-t", "0"], "output": ["/^\\s*ROM\\ Size:\\ 16\\ MB$/"]}
    ],
    "check_dmi_data_match '/^Processor Information: Characteristics: 64-bit capable$/'": [
        {"run": ["dmidecode", "-t", "4"], "output": ["/^\\s*(?:64-bit capable$)/"]}
    ],
    'check_dmi_data_match -n -t 1 "*UUID: 00000000*"': [{"match": ["!System Information: *UUID: 00000000*"]}],
    "check_dmi_data_match '/BIOS Information: Version: 2[.](3|4)/'": [
        {"match": ["/^BIOS Information: Version: 2[.](3|4)/"]}
    ],
    "check_dmi_raw_data_match '/Vendor: (Dell|HPE)/'": [{"run": ["dmidecode"], "output": ["/Vendor: (Dell|HPE)/"]}],
    "check_net_ping -c 3 head1 head2": [
        {"host": "head1", "count": 3, "answers_min": 3},
        {"host": "head2", "count": 3, "answers_min": 3},
    ],
    "check_net_ping -c 2 -w 6 head": [{"host": "head", "count": 6, "answers_min": 2}],
    "check_net_ping head": [{"host": "head", "count": 1}],
    "check_net_socket -p tcp -s LISTEN -l '*:6818'": [{"proto": "tcp", "state": "listening", "port": 6818}],
    "check_ps_service -u root sshd": [{"match": "/^[^ ]*sshd( |$)/", "user": "root", "count_min": 1}],
    "check_ps_service -u munge -d munged munge": [{"match": "/^[^ ]*munged( |$)/", "user": "munge", "count_min": 1}],
    "check_ps_service -f -m '/python.*agent/' agent": [{"match": "/python.*agent/", "count_min": 1}],
    "check_ps_service -u root -m '/(^|\\/)slurmd$/' slurmd": [
        {"match": "/^[^ ]*(?:(^|/)slurmd(?= |$))/", "user": "root", "count_min": 1}
    ],
    "check_ps_daemon wulfd root": [{"match": "*wulfd*", "user": "root", "count_min": 1}],
    # Not the program's name in comm, which it may change, nor a word behind the first.
    "check_ps_service -m '/(^|\\/)py.on[^-]*$/' agent": [
        {"match": "/^[^ ]*(?:(^|/)py[^ ]on[^ -]*(?= |$))/", "count_min": 1}
    ],
    "check_ps_service -m '*/s?hd' ssh": [{"match": "/^[^ ]*/s[^ ]hd( |$)/", "count_min": 1}],
    "check_ps_blacklist cryptominer": [{"match": "*cryptominer*", "count_max": 0}],
    "check_ps_cpu -A 150%": [{"match": "*", "cpu_max": "150%"}],
    "check_ps_physmem -A -f -m '*java*' 4g": [{"match": "*java*", "rss_max": "4G"}],
    "check_ps_physmem -A -u root 10%": [{"match": "*", "user": "root", "memory_max": "10%"}],
    "check_ps_time -A -m '*cron' 90m30s": [{"match": "/^[^ ]*cron( |$)/", "cputime_max": "5430s"}],
    "check_ps_mem -A 8g": [{"match": "*", "vsz_max": "8G"}],
    "check_ps_userproc_lineage log syslog": [{"allow": ["root", "nobody"], "strict": True}],
    "check_ps_loadavg '' \"\" 40": [{"fifteen_max": 40}],
    "check_ps_unauth_users log syslog": [{"allow": ["root", "nobody"]}],
    "check_ps_loadavg 300 $((2*100)) 100": [{"one_max": 300, "five_max": 200, "fifteen_max": 100}],
    "check_file_test -r -w -x -d -k /tmp /var/tmp": [
        {
            "path": ["/tmp", "/var/tmp"],
            "tests": ["readable-by-root", "writable-by-root", "executable", "directory", "sticky"],
        }
    ],
    "check_file_test -! -e /etc/nologin": [{"path": ["/etc/nologin"], "tests": ["absent"]}],
    "check_file_stat -m 0644 -u 0 -G root /etc/passwd": [
        {"path": ["/etc/passwd"], "mode": "0644", "owner": "0", "group": "root"}
    ],
    "check_file_stat -n 7200 /var/log/messages": [{"path": ["/var/log/messages"], "age_max": "7200s"}],
    "check_file_contents /etc/passwd '/^root:x:0:0:/' 'sshd:*' '!/toor/'": [
        {"path": ["/etc/passwd"], "contents": ["/^root:x:0:0:/", "sshd:*", "!/toor/"]}
    ],
    "check_cmd_status -t 5 -r 1 selinuxenabled": [{"run": ["selinuxenabled"], "status": 1}],
    "check_cmd_status curl -s head/up": [{"run": ["curl", "-s", "head/up"]}],
    "check_cmd_status python3 /opt/look.py -v": [{"run": ["python3", "/opt/look.py", "-v"]}],
    "check_cmd_status sed -n /x/p /etc/x": [{"run": ["sed", "-n", "/x/p", "/etc/x"]}],
    "check_cmd_status lctl ping 10.0.0.1@o2ib": [{"run": ["lctl", "ping", "10.0.0.1@o2ib"]}],
    "check_cmd_status bash /opt/look.sh": [{"run": ["bash", "/opt/look.sh"]}],
    "check_cmd_status getent passwd operator": [{"run": ["getent", "passwd", "operator"]}],
    "check_cmd_output -t 2 -m 'NTP synchronized: yes' -e 'timedatectl'": [
        {"run": ["timedatectl"], "output": ["NTP synchronized: yes"], "timeout": "2s"}
    ],
    "check_cmd_output -m '/gdrdrv/' -m '!/nouveau/' /sbin/lsmod": [
        {"run": ["/sbin/lsmod"], "output": ["/gdrdrv/", "!/nouveau/"]}
    ],
    "check_cmd_dmesg -m '!/blocked for more than/'": [{"run": ["dmesg"], "output": ["!/blocked for more than/"]}],
    "check_cmd_output -m '*' -m '/x/' -r 2 ls": [{"run": ["ls"], "status": 2, "output": ["/x/"]}],
    "check_gpu_count 8": [{"require": "gpu.count=8"}],
    "check_nv_drv_version 550.54.15": [{"require": "driver=550.54.15"}],
    "check_ib_link_flapping": [{"link_downed_max": 0, "window": "6h"}],
}
# A check's text -> the rows that are kept of it, and a word of each reason that names what was not.
IN_PART: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "check_ps_service -u root -S sshd": (
        [{"match": "/^[^ ]*sshd( |$)/", "user": "root", "count_min": 1}],
        ["-S starts"],
    ),
    "check_ps_service -r crond": ([{"match": "/^[^ ]*crond( |$)/", "count_min": 1}], ["-r restarts"]),
    "check_ps_service -c mysqld": ([{"match": "/^[^ ]*mysqld( |$)/", "count_min": 1}], ["-c stops and starts"]),
    "check_ps_service -k -m '*telnetd' telnet": ([{"match": "/^[^ ]*telnetd( |$)/", "count_max": 0}], ["-k kills"]),
    "check_ps_service -E '/opt/m stop' -f -d mon.py mon": ([{"match": "*mon.py", "count_max": 0}], ["-E runs"]),
    "check_fs_mount_rw -r -f /data": ([{"path": "/data", "options": ["rw"]}], ["-r mounts again"]),
    "check_fs_mount -e '/sbin/fix' -f /data": ([{"path": "/data"}], ["-e runs"]),
    "check_fs_mount_rw -F /auto": ([{"path": "/auto", "options": ["rw"]}], ["automounter"]),
    "check_ps_unauth_users log kill": ([{"allow": ["root", "nobody"]}], ["kill ends processes"]),
    "check_ps_cpu -A -K -r 19 90": ([{"match": "*", "cpu_max": "90%"}], ["-K kills its parent", "nice value"]),
    "check_net_socket -p tcp -s LISTEN -l '*:22' -d sshd": (
        [{"proto": "tcp", "state": "listening", "port": 22}],
        ["-d sshd"],
    ),
    "check_file_stat -M 0600 /etc/x": ([], ["-M 0600", "nothing else to compare"]),
    "check_net_ping -I eth0 -c 1 head": ([{"host": "head", "count": 1}], ["-I eth0"]),
    "FOO=1 check_hw_eth eth0": ([{"device": "eth0", "state": "any"}], ["FOO: the check looks at no such variable"]),
    "check_ps_kswapd 1800 100 log": ([{"name": "kswapd*", "cputime_max": "1800s"}], ["do not compare"]),
}
# What is never turned, and a word of the reason.
NAMED: dict[str, str] = {
    "check_moab_sched -t 10 -v 7.2.3": "other resource managers",
    "check_moab_rm -t 10": "other resource managers",
    # What NHC reads otherwise than it looks, or never fails, or fails on every node.
    "check_hw_cpuinfo 02 012 024": "octal",
    "check_hw_physmem 032g 064g": "no size",
    "check_fs_mount_rw -f /data/": "ends with a slash",
    "check_file_stat -m 644 /etc/passwd": "0644",
    "check_file_stat -u root /etc/passwd": "a number after -u",
    "check_file_test -f '/etc/*.conf'": "expands no glob",
    "check_hw_eth '!eth0'": "glob",
    "check_hw_ib 100 'mlx5_*:1'": "as it stands",
    "check_ps_cpu -u root 90": "without -A",
    "check_ps_time -A 30S": "no CPU time",
    "check_ps_service -m '/a b/' a": "first word",
    "check_net_socket -p tcp -s LISTEN -l '*:22' sshd": "NHC itself refuses",
    "check_cmd_output -m x 'cmd arg'": "the name of one program",
    "check_cmd_output -m '!/^$/' ls": "an empty line behind",
    "check_cmd_status ulimit -l": "the shell's or NHC's own",
    "check_cmd_status command -v nvidia-smi": "the shell's or NHC's own",
    "check_cmd_status check_hw_eth eth0": "the shell's or NHC's own",
    "check_cmd_output -m x type ls": "the shell's own",
    "LANG=C check_cmd_status date": "LANG",
    "DIR=/x check_fs_mount_rw $DIR": "$DIR is not set",
    "check_dmi_data_match '/Memory Device.*Speed: 1866/'": "no section",
    "check_dmi_data_match 'Speed: 1866 MHz'": "no section",
    "check_dmi_data_match -t 17 'BIOS Information: Version: 2'": "another section",
    "check_hw_eth eth0 &": "in the background",
    "MARK_OFFLINE=$(cat /etc/offline)": "on the node only",
    "declare -i N=2*3": "more than values",
    "check_moab_torque": "other resource managers",
    "check_hw_gm myri0": "Myrinet",
    "check_ps_blacklist sshd '!root'": "one user's processes",
    "check_ps_loadavg $((2*HW_CORES))": "$HW_CORES is measured on the node",
    "check_hw_eth $(ip -o route | cut -f1)": "output of a command",
    "check_fs_mount_rw -f $SCRATCH": "$SCRATCH is not set",
    "check_hw_physmem 64GiB 64GiB": "no size that NHC reads",
    "check_goss --all": "function of the site's",
    "check_id_from_group staff": "function of the site's",
    "/opt/site/bin/look --fast": "program of the site's",
    "check_gpu_bw 48 335": "benchmark",
    "check_nccl_allreduce 460.0 1 16G $TOPOLOGY": "benchmark",
    "check_hw_topology": "[[command]]",
    "[[ -d /opt/x ]] && check_hw_eth eth0": "only where [[ -d /opt/x ]] holds",
    "check_hw_eth eth0 || check_hw_eth eth1": "depends on how the first part answers",
    "check_cmd_output -m x cat /proc/meminfo | awk '{print}'": "a pipeline",
    "if true; then check_hw_eth eth0; fi": "an if",
    "function look() { true; }": "the definition of a function",
    "check_file_test -r": "no test or no file",
    "check_file_test -z /etc/passwd": "NHC itself refuses",
    "check_fs_mount -q /x": "NHC itself refuses",
    "check_hw_eth 'eth0": "taken apart as bash",
    "check_cmd_status systemctl restart munge": "acts on the node",
    "check_cmd_status -t 5 timeout 4 systemctl restart munge": "acts on the node",
    "check_cmd_output -e '/sbin/service sshd restart'": "acts on the node",
    "check_cmd_status /usr/bin/pkill -9 stray": "acts on the node",
    "check_cmd_status sh -c 'rm -f /tmp/x'": "may change the node",
    "check_cmd_status python3 -c 'import os; os.remove(\"/x\")'": "may change the node",
    "check_cmd_status awk 'BEGIN{system(\"reboot\")}'": "may change the node",
    "check_cmd_status sed -n -i s/a/b/p /etc/x": "acts on the node",
    "check_cmd_status nvidia-smi -L -pm 1": "acts on the node",
    "check_cmd_status curl -s -X POST head/reboot": "acts on the node",
    "check_cmd_status docker run hello": "acts on the node",
    "check_cmd_status timeout 9 lfs setstripe /x": "acts on the node",
    "check_cmd_status dcgmi diag -r 1": "acts on the node",
    "check_cmd_status su - someone -c ls": "acts on the node",
    "check_cmd_status scontrol update nodename=n1 state=resume": "acts on the node",
    "check_cmd_status sudo /sbin/mount -a": "acts on the node",
    "check_cmd_status nvidia-smi -pm 1": "acts on the node",
    "check_cmd_status ip link set ib0 up": "acts on the node",
    "systemctl restart slurmd": "acts on the node",
    "kill -9 4711": "acts on the node",
    "reboot": "acts on the node",
    "echo lost > /dev/console": "redirection",
    "die 1 never": "the shell's or NHC's own",
}
# Settings and checks that need no row, and a word of the note.
MET: dict[str, str] = {
    "export NHC_RM=slurm": "Slurm's",
    "export MARK_OFFLINE=0": 'mode = "observe"',
    "TIMEOUT=15": "deadline_s",
    "export DETACHED_MODE=1": "process of its own",
    'HOSTNAME="$(hostname -s)"': "Slurm's names",
    "NHC_CHECK_ALL=1": "always judged",
    "check_nvsmi_healthmon": "gpu.responds",
    "check_nv_healthmon": "gpu.responds",
    "check_gpu_xid": "gpu.xid",
    "check_nvlink_status": "gpu.nvlink",
    "true": "nothing",
    "export PATH": "keeps its value",
}
EVERY_CHECK = """cmd_output cmd_status cmd_dmesg dmi_data_match dmi_raw_data_match file_contents file_test file_stat
    fs_mount fs_mount_rw fs_mount_ro fs_size fs_free fs_used fs_inodes fs_ifree fs_iused hw_cpuinfo hw_physmem hw_swap
    hw_mem hw_physmem_free hw_swap_free hw_mem_free hw_ib hw_gm hw_eth hw_mcelog moab_sched moab_rm moab_torque
    net_socket net_ping nv_healthmon nvsmi_healthmon ps_daemon ps_blacklist ps_service ps_cpu ps_mem ps_physmem ps_time
    ps_unauth_users ps_userproc_lineage ps_kswapd ps_loadavg""".split()  # noqa: SIM905 - reads better
