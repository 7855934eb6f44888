# The guest of Simulation/Ceph/fence.sh: a boot sector that writes numbered blocks to its second disk through the BIOS, one
# after the other for ever, and says on the debug console which the disk has acknowledged. No kernel, no file system: what the
# image holds afterwards is exactly what this guest wrote.
#
# Block N goes to sector N mod 2048 and holds "HOLDFAST", N (4 bytes), and who wrote it (2 bytes, at `identity`; the harness
# puts it there). A line `+0000002a` follows once the disk has taken it; `-0000002a` when the disk refused it.
    .code16
    .globl _start
_start:
    jmp begin
    .org 4
identity:
    .word 0
begin:
    ljmp $0, $here
here:
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    cld
    # The BIOS has booted from one of two disks; the image is the other.
    xorb $1, %dl
    movb %dl, drive
    movw $words, %si
    movw $0x8000, %di
    movw $8, %cx
    rep movsb
    movw identity, %ax
    movw %ax, 0x800c
next:
    incl number
    movl number, %eax
    movl %eax, 0x8008
    andl $2047, %eax
    movl %eax, sector
    movw $packet, %si
    movb drive, %dl
    movw $0x4300, %ax
    int $0x13
    movb $'-', %al
    jc say
    movb $'+', %al
say:
    outb %al, $0xe9
    pushf
    movl number, %ebx
    movw $8, %cx
digit:
    roll $4, %ebx
    movb %bl, %al
    andb $15, %al
    addb $'0', %al
    cmpb $'9', %al
    jbe print
    addb $('a' - '9' - 1), %al
print:
    outb %al, $0xe9
    loop digit
    movb $10, %al
    outb %al, $0xe9
    popf
    jnc next
    # Refused: the next attempt at the next tick of the clock (55 ms).
    sti
    hlt
    jmp next
words:
    .ascii "HOLDFAST"
drive:
    .byte 0
number:
    .long 0
    .balign 4
packet:
    .byte 16, 0
    .word 1
    .word 0x8000, 0
sector:
    .long 0, 0
    .org 510
    .word 0xaa55
