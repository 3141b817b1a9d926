export CONDA_EXE='/home/alice/miniconda3/bin/conda'
export _CE_M=''
export CONDA_PYTHON_EXE='/home/alice/miniconda3/bin/python'
