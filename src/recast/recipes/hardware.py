"""Machines that presets are meant for."""

from recast.training.preset import Hardware

NODE = Hardware(name="H200", devices=8, tflops=790, use=0.40, gib=139)
ONE = Hardware(name="H200", devices=1, tflops=790, use=0.40, gib=139)
CORES = Hardware(name="two processor cores", devices=1, tflops=1.6, use=0.40, gib=8)
