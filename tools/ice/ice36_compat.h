/* Lets the Python extension of Ice 3.6.5 compile on CPython 3.11 to 3.13.
 *
 * Forced into every translation unit with -include; eval.h beside it is an
 * empty stand-in for a CPython header that Ice includes and that is gone.
 */
#ifdef __cplusplus
#include <Python.h>
#include <frameobject.h>

#if PY_VERSION_HEX >= 0x030B0000 /* PyThreadState lost its public frame member */
struct IceFrameHolder
{
    PyFrameObject* frame;
};

static inline IceFrameHolder* iceThreadState()
{
    static thread_local IceFrameHolder holder;
    holder.frame = PyEval_GetFrame();
    return &holder;
}
#undef PyThreadState_GET
#define PyThreadState_GET() iceThreadState()
#endif

#if PY_VERSION_HEX >= 0x030D0000 /* three calls left the C API */
#define PyEval_CallObject PyObject_CallObject
#define PyEval_InitThreads() ((void)0)

static inline int PyObject_AsReadBuffer(PyObject* object, const void** data, Py_ssize_t* size)
{
    Py_buffer view;
    if(PyObject_GetBuffer(object, &view, PyBUF_SIMPLE) != 0)
    {
        return -1;
    }
    *data = view.buf;
    *size = view.len;
    PyBuffer_Release(&view); /* the old call did not pin the buffer either */
    return 0;
}
#endif
#endif
